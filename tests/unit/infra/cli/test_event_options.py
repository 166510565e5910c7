"""Options of an event become fields of the API."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from infra.cli.event_options import announced, cleared, given, labels, metadata

NOW = datetime(2030, 6, 1, 12, tzinfo=UTC)


def test_what_is_given_is_said_and_nothing_else() -> None:
    assert given(access="token", dvr="2h", auto_end=False, label=None, latency=None) == {
        "access": "token",
        "dvr_window_s": 7200,
        "auto_end": False,
    }
    assert given(label=["team=a", "stage:main"], function=["archive"], rendition=["720p"]) == {
        "labels": {"team": "a", "stage": "main"},
        "cold_functions": ["archive"],
        "renditions": ["720p"],
    }


def test_times_are_in_the_zone_and_a_duration_begins_at_the_start() -> None:
    fields = announced("2030-12-01 18:00", None, "90m", "Europe/Vienna", NOW)
    assert fields["starts_at"] == datetime(2030, 12, 1, 17, tzinfo=UTC)
    assert fields["ends_at"] - fields["starts_at"] == timedelta(minutes=90)
    assert announced(None, None, None, None, NOW) == {}


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "duration", "zone", "said"),
    [
        (None, "+1h", "1h", None, "leave one of both out"),
        (None, None, "1h", None, "needs --starts-at"),
        ("soon", None, None, None, "is no time"),
        (None, None, None, "Mars/Olympus", "is no time zone"),
    ],
)
def test_times_that_cannot_be_used(
    starts_at: str | None, ends_at: str | None, duration: str | None, zone: str | None, said: str
) -> None:
    with pytest.raises(typer.BadParameter, match=said):
        announced(starts_at, ends_at, duration, zone, NOW)


def test_a_wrong_value_names_its_option() -> None:
    with pytest.raises(typer.BadParameter) as refused:
        given(reconnect_window="soon")
    assert refused.value.param_hint == "--reconnect-window"


def test_values_are_taken_away() -> None:
    assert given(tier=["broadcast"]) == {"tiers": ["broadcast"]}
    assert cleared(["starts-at", "function", "tier", "label"]) == {
        "starts_at": None,
        "cold_functions": None,
        "tiers": None,
        "labels": {},
    }
    with pytest.raises(typer.BadParameter, match="is none of starts-at"):
        cleared(["name"])


def test_metadata_is_json_from_the_line_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text('{"room": 3}')
    assert metadata('{"room": 3}') == metadata(f"@{file}") == {"room": 3}
    for wrong in ("[]", "{", f"@{tmp_path}/none.json"):
        with pytest.raises(ValueError, match=r"it is no|cannot be read"):
            metadata(wrong)


@pytest.mark.parametrize("pairs", [["team"], ["=a"], ["team="], ["team=a", "team=b"]])
def test_what_is_no_label(pairs: list[str]) -> None:
    with pytest.raises(ValueError, match=r"is no name=value|one value"):
        labels(pairs)
