"""Findings, their JSON and the report."""

import io
from typing import Any

import pytest
from rich.console import Console

from infra.demo.barcode import Stamp
from infra.demo.player import Viewing
from infra.demo.presentation import Shown, Stall
from infra.demo.report import Findings, print_report
from infra.demo.verify import Archive, Audio
from infra.demo.whep_viewing import WhepViewing
from infra.telemetry.stages import STAGES


@pytest.fixture
def findings() -> Findings:
    """A run in which everything arrived."""
    shown = [Shown(Stamp(1000 + n, n), n, (2000 + 2 * n) * 1_000_000) for n in range(100)]
    return Findings(
        fps=30,
        frames_sent=300,
        viewing=Viewing(shown, [Stall(0, 5_000_000)], 0, 645),
        realtime=WhepViewing([199.0] * 100, 130, 0, 299),
        first_keyframes_ms=[30.5, 10.0, 20.0],
        stages_ms={stage: {"p50": 1.23456, "p95": 2.0} for stage in STAGES},
        archive=Archive(frozenset(range(300)), 0, 10_000, Audio(9_990, -26.0)),
        seconds_after_end=3.2,
        jobs=[{"id": "job_1", "function": "archive", "state": "succeeded", "attempt_count": 1}],
    )


def test_json_has_exactly_the_promised_keys(findings: Findings) -> None:
    body = findings.as_json()
    assert set(body) == {"ok", "hls", "whep", "stages_ms", "archive", "jobs"}
    assert body["ok"] is True
    assert body["hls"] == {"glass_to_glass_ms": {"p50": 1049.0, "p95": 1094.0}}
    assert body["whep"] == {
        "glass_to_glass_ms": {"p50": 199.0, "p95": 199.0},
        "first_keyframe_ms": {"p50": 20.0, "p95": 30.5},
        "lost_packets": 0,
    }
    assert body["stages_ms"]["demuxed"] == {"p50": 1.235, "p95": 2.0}
    assert body["archive"] == {
        "frames_sent": 300,
        "frames_decoded": 300,
        "audio": True,
        "seconds_after_end": 3.2,
    }
    assert body["jobs"] == findings.jobs


def remove_stage(findings: Findings) -> None:
    del findings.stages_ms["uploaded"]


def remove_frame(findings: Findings) -> None:
    findings.archive = Archive(frozenset(range(299)), 0, 9967, Audio(9_990, -26.0))


def fail_job(findings: Findings) -> None:
    findings.jobs[0]["state"] = "dead"


def lose_packets(findings: Findings) -> None:
    findings.realtime = WhepViewing([199.0], 130, 7, 299)


def break_off(findings: Findings) -> None:
    findings.failures.append("ffmpeg stopped")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (remove_stage, "no uploaded time was measured"),
        (remove_frame, "1 of 300 sent frames are missing from the archive: 299"),
        (fail_job, "job job_1 (archive) is dead"),
        (break_off, "ffmpeg stopped"),
        (lambda f: setattr(f, "viewing", None), "no frame with a readable clock"),
        (lambda f: setattr(f, "realtime", None), "no frame with a readable clock reached the WHEP"),
        (lambda f: f.first_keyframes_ms.clear(), "no WHEP join got a whole keyframe"),
        (lose_packets, "the WHEP viewer lost 7 packets"),
        (lambda f: setattr(f, "archive", None), "there is no archive"),
        (lambda f: setattr(f, "jobs", []), "the API lists no job"),
    ],
)
def test_each_missing_thing_is_named_and_not_ok(
    findings: Findings, damage: Any, problem: str
) -> None:
    damage(findings)
    assert len(findings.problems()) == 1
    assert findings.problems()[0].startswith(problem)
    assert findings.as_json()["ok"] is False
    assert problem in printed(findings)


def test_findings_of_a_run_that_broke_off_at_once_are_still_valid() -> None:
    body = Findings(30).as_json()
    assert body["hls"] == {"glass_to_glass_ms": {"p50": None, "p95": None}}
    assert body["archive"]["frames_decoded"] == 0
    assert "there is no archive" in printed(Findings(30))


def test_report_shows_the_figures(findings: Findings) -> None:
    text = printed(findings)
    for figure in (
        "1049 ms",
        "199 ms",
        "130 frames decoded, 0 packets lost",
        "645 ms of hold-back",
        "300 of 300 frames",
        "Everything arrived",
    ):
        assert figure in text


def printed(findings: Findings) -> str:
    output = io.StringIO()
    print_report(Console(file=output, width=160), findings)
    return output.getvalue()
