"""Times as people type them, and those that a zone does not have or has twice."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from infra.cli.times import is_local, moment, place, seconds, whole_seconds, zone_named

VIENNA = ZoneInfo("Europe/Vienna")
NOW = datetime(2030, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("now", NOW),
        ("+30m", NOW + timedelta(minutes=30)),
        ("-45s", NOW - timedelta(seconds=45)),
        ("+1d12h", NOW + timedelta(hours=36)),
        ("2030-12-01 18:00", datetime(2030, 12, 1, 17, tzinfo=UTC)),
        ("2030-07-01T18:00:30", datetime(2030, 7, 1, 16, 0, 30, tzinfo=UTC)),
        ("2030-07-01", datetime(2030, 6, 30, 22, tzinfo=UTC)),
        ("2030-06-01T18:00:00Z", datetime(2030, 6, 1, 18, tzinfo=UTC)),
        ("2030-06-01 18:00-04:00", datetime(2030, 6, 1, 22, tzinfo=UTC)),
    ],
)
def test_a_moment(text: str, wanted: datetime) -> None:
    assert moment(text, VIENNA, NOW) == wanted


def test_a_moment_on_clocks_of_a_zone_keeps_the_zone() -> None:
    assert moment("2030-12-01 18:00", VIENNA, NOW).isoformat() == "2030-12-01T18:00:00+01:00"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2030-03-31 02:30", "does not exist in Europe/Vienna: clocks go forward"),
        ("2030-10-27 02:30", "comes twice in Europe/Vienna.*write it with an offset"),
        ("tomorrow", "is no time, such as"),
        ("", "is no time"),
        ("+", "is no duration"),
        ("+30x", "is no duration"),
        ("2030-02-30", "is no time"),
    ],
)
def test_what_is_no_one_moment_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        moment(text, VIENNA, NOW)


def test_an_hour_that_comes_twice_can_be_said_with_its_offset() -> None:
    first, second = (
        moment(f"2030-10-27 02:30{offset}", VIENNA, NOW) for offset in ("+02:00", "+01:00")
    )
    assert second - first == timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("90", 90), ("90s", 90), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172_800), ("0", 0)],
)
def test_a_duration(text: str, wanted: float) -> None:
    assert seconds(text) == whole_seconds(text) == wanted


@pytest.mark.parametrize("text", ["", "h", "1 h", "-5", "1h30", "1e3", "5w", "٣s", "1" * 30])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        seconds(text)


def test_half_a_second_is_no_whole_number() -> None:
    with pytest.raises(ValueError, match="no whole number"):
        whole_seconds("0.5s")


def test_places_of_a_clip() -> None:
    assert place("12.5", NOW) == 12.5
    assert place("-30s", NOW) == NOW - timedelta(seconds=30)


def test_zones() -> None:
    assert zone_named("Europe/Vienna") == VIENNA
    assert zone_named(None) is None
    for name in ("Europe/Nowhere", "", "../etc/passwd"):
        with pytest.raises(ValueError, match="is no time zone"):
            zone_named(name)


@pytest.mark.parametrize(
    ("text", "local"),
    [("2030-06-01 18:00", True), ("2030-06-01T18:00Z", False), ("+30m", False), ("x", False)],
)
def test_times_that_differ_from_place_to_place(text: str, local: bool) -> None:
    assert is_local(text) is local
