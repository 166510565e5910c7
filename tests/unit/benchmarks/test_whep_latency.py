"""What the delay of WHEP is held against."""

import io
from typing import Any

import pytest
from rich.console import Console

from benchmarks.whep_latency import table, targets


def result(**other: Any) -> dict[str, Any]:
    """A run on a quiet machine."""
    found = {
        "srt_ms": {"p50": 125.8, "p95": 131.0, "max": 131.6},
        "whep_ms": {"p50": 127.0, "p95": 132.0, "max": 160.0},
        "whep_frame_ms": {"p50": 127.2, "p95": 132.4, "max": 163.9},
        "first_keyframe_ms": {"p50": 15.0, "p95": 20.6, "max": 21.1},
        "joiner_behind_ms": {"p50": 0.1, "p95": 0.7, "max": 2.4},
    }
    return found | other


def missed(found: dict[str, Any]) -> list[str]:
    return [f"{target.name} {target.quantile}" for target in targets(found) if not target.met]


def printed(found: dict[str, Any]) -> str:
    output = io.StringIO()
    Console(file=output, width=120).print(table(found, targets(found)))
    return output.getvalue()


def test_a_quiet_machine_meets_them_and_it_stands_beside_the_figures() -> None:
    assert missed(result()) == []
    text = printed(result())
    for words in (
        "p50 at most 140.8: met by 13.6",
        "p50 at most 60.0: met by 45.0",
        "p95 at most 120.0: met by 99.4",
        "p95 at most 20.0: met by 19.3",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("other", "expected", "words"),
    [
        ({"whep_frame_ms": {"p50": 141.0}}, "whep_frame_ms p50", "140.8: missed by 0.2"),
        ({"first_keyframe_ms": {"p50": 61, "p95": 90}}, "first_keyframe_ms p50", "missed by 1.0"),
        ({"first_keyframe_ms": {"p50": 9, "p95": 130}}, "first_keyframe_ms p95", "missed by 10.0"),
        ({"joiner_behind_ms": {"p95": 20.5}}, "joiner_behind_ms p95", "missed by 0.5"),
        ({"joiner_behind_ms": None}, "joiner_behind_ms p95", "p95 at most 20.0: missed"),
        ({"srt_ms": None}, "whep_frame_ms p50", "p50 at most 0.0: missed"),
    ],
)
def test_what_is_too_late_or_was_not_measured_has_missed(
    other: dict[str, Any], expected: str, words: str
) -> None:
    assert missed(result(**other)) == [expected]
    assert words in printed(result(**other))
