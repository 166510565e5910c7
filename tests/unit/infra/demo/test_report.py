"""Findings, their JSON and the report."""

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from infra.demo.barcode import Stamp
from infra.demo.heard import Captions
from infra.demo.ladder import SOURCE, LadderFindings, Moved, RenditionSeen, Switching
from infra.demo.m3u8 import Segment, Variant
from infra.demo.made import Clip, Poster, Recording, Storyboard
from infra.demo.player import Viewing
from infra.demo.presentation import Shown, Stall
from infra.demo.report import Findings, print_report
from infra.demo.verify import Archive, Audio
from infra.demo.whep_viewing import WhepViewing
from infra.telemetry.stages import STAGES

S = 1_000_000_000


def seen(name: str, resolution: str, bandwidth: int, segments: int) -> RenditionSeen:
    listed = {n: Segment(n, f"s{n}", 2 * S, "init", date_ms=2000 * n) for n in range(segments)}
    variant = Variant(f"{name}.m3u8", "audio.m3u8", bandwidth, bandwidth - 1000, resolution)
    return RenditionSeen(name, variant, listed)


def ladder() -> LadderFindings:
    renditions = {
        SOURCE: seen(SOURCE, "1280x720", 3_000_000, 5),
        "360p": seen("360p", "640x360", 900_000, 4),
    }
    switching = Switching((SOURCE, "360p", SOURCE), 180, 180, 0, 0)
    return LadderFindings(("360p",), renditions, switching, Moved("1280x720", "640x360", 4.25))


@pytest.fixture
def findings() -> Findings:
    """A run in which everything arrived."""
    shown = [Shown(Stamp(1000 + n, n), n, (2000 + 2 * n) * 1_000_000) for n in range(100)]
    return Findings(
        fps=30,
        ladder=ladder(),
        frames_sent=300,
        viewing=Viewing(shown, [Stall(0, 5_000_000)], 0, 645),
        realtime=WhepViewing([199.0] * 100, 130, 0, 299),
        first_keyframes_ms=[30.5, 10.0, 20.0],
        stages_ms={stage: {"p50": 1.23456, "p95": 2.0} for stage in STAGES},
        archive=Archive(frozenset(range(300)), 0, 10_000, Audio(9_990, -26.0)),
        seconds_after_end=3.2,
        clip=Clip(range(70, 160), frozenset(range(70, 160)), 60, 30, 1.25),
        poster=Poster(1280, 720, 101.5),
        recording=Recording("ready", "index.m3u8", "poster.jpg", "storyboard.vtt", ("en",), 1),
        storyboard=Storyboard(5, 10.0, 0),
        captions=Captions("en", "And Mr. John Dashwood", 28, 0.0, 3, 4.5),
        jobs=[{"id": "job_1", "function": "archive", "state": "succeeded", "attempt_count": 1}],
    )


def test_json_has_exactly_the_promised_keys(findings: Findings) -> None:
    body = findings.as_json()
    assert set(body) == {
        *("ok", "hls", "whep", "ladder", "stages_ms", "archive", "clip", "poster", "jobs"),
        *("storyboard", "captions", "targets"),
    }
    assert body["ok"] is True
    assert body["targets"] == {
        "whep.glass_to_glass_ms.p95": {"at_most_ms": 250.0, "found_ms": 199.0, "met": True}
    }
    assert body["hls"] == {"glass_to_glass_ms": {"p50": 1049.0, "p95": 1094.0}}
    assert body["whep"] == {
        "glass_to_glass_ms": {"p50": 199.0, "p95": 199.0},
        "first_keyframe_ms": {"p50": 20.0, "p95": 30.5},
        "lost_packets": 0,
    }
    assert body["ladder"] == {
        "renditions": [
            {
                "name": "source",
                "resolution": "1280x720",
                "bandwidth": 3_000_000,
                "average_bandwidth": 2_999_000,
                "segments": 5,
                "gaps": 0,
                "aligned": True,
                "max_offset_ms": 0.0,
            },
            {
                "name": "360p",
                "resolution": "640x360",
                "bandwidth": 900_000,
                "average_bandwidth": 899_000,
                "segments": 4,
                "gaps": 0,
                "aligned": True,
                "max_offset_ms": 0.0,
            },
        ],
        "trimmed": None,
        "whep_moved": {"from": "1280x720", "to": "640x360", "seconds": 4.25},
        "switch_test": {
            "ok": True,
            "path": ["source", "360p", "source"],
            "switches": 2,
            "frames": 180,
            "frames_decoded": 180,
            "max_discontinuity_ms": 0,
            "frames_out_of_step": 0,
            "gaps": 0,
        },
    }
    assert body["stages_ms"]["demuxed"] == {"p50": 1.235, "p95": 2.0}
    assert body["archive"] == {
        "frames_sent": 300,
        "frames_decoded": 300,
        "audio": True,
        "seconds_after_end": 3.2,
    }
    assert body["clip"] == {
        "ok": True,
        "frames": 90,
        "frames_decoded": 90,
        "copied": 60,
        "encoded": 30,
        "seconds_to_ready": 1.25,
    }
    assert body["poster"] == {"width": 1280, "height": 720, "brightness": 101.5}
    assert body["storyboard"] == {"pictures": 5, "seconds": 10.0}
    assert body["captions"] == {
        "language": "en",
        "words": 28,
        "word_error_rate": 0.0,
        "cues": 3,
        "seconds_after_end": 4.5,
        "text": "And Mr. John Dashwood",
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
        (lambda f: f.ladder.renditions.pop("360p"), "the rendition 360p was never listed"),
        (lambda f: setattr(f.ladder, "switching", None), "no player got from one rendition"),
        (lambda f: setattr(f, "archive", None), "there is no archive"),
        (lambda f: setattr(f, "clip", None), "there is no clip"),
        (lambda f: setattr(f, "captions", None), "there is no transcript"),
        (lambda f: setattr(f, "storyboard", Storyboard(5, 10.0, 2)), "2 pictures of the"),
        (
            lambda f: setattr(f, "recording", replace(f.recording, status="making")),
            "the recording's page says that it is making",
        ),
        (lambda f: setattr(f, "poster", Poster(1280, 720, 3.0)), "the poster is black"),
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
    broken = Findings(30, LadderFindings(("360p",)))
    body = broken.as_json()
    assert body["hls"] == {"glass_to_glass_ms": {"p50": None, "p95": None}}
    assert body["archive"]["frames_decoded"] == 0
    assert body["ladder"] == {
        "renditions": [],
        "trimmed": None,
        "whep_moved": None,
        "switch_test": None,
    }
    assert "there is no archive" in printed(broken)


def test_report_shows_the_figures(findings: Findings) -> None:
    text = printed(findings)
    for figure in (
        "1049 ms",
        "199 ms",
        "130 frames decoded, 0 packets lost",
        "645 ms of hold-back",
        "source: 1280x720, 3.00 Mbit/s with sound, 5 segments",
        "360p: 640x360, 0.90 Mbit/s with sound, 4 segments, aligned",
        "went from 1280x720 to 640x360 after 4.2 s",
        "source → 360p → source: 180 of 180 frames decoded, discontinuity 0.0 ms at most",
        "300 of 300 frames",
        "Everything arrived",
    ):
        assert figure in text


@pytest.mark.parametrize(
    ("delay_ms", "met", "words"),
    [
        (199.0, True, "p95 at most 250 ms: met by 51.0 ms"),
        (250.0, True, "p95 at most 250 ms: met by 0.0 ms"),
        (281.5, False, "p95 at most 250 ms: missed by 31.5 ms"),
    ],
)
def test_the_delay_of_whep_is_held_against_its_target(
    findings: Findings, delay_ms: float, met: bool, words: str
) -> None:
    findings.realtime = WhepViewing([delay_ms] * 100, 130, 0, 299)
    (target,) = findings.as_json()["targets"].values()
    assert target == {"at_most_ms": 250.0, "found_ms": delay_ms, "met": met}
    assert words in printed(findings)
    # A slow machine has shown everything as well.
    assert findings.problems() == []
    assert "Everything arrived" in printed(findings)


def test_a_delay_that_was_not_measured_has_not_met_its_target(findings: Findings) -> None:
    findings.realtime = None
    (target,) = findings.as_json()["targets"].values()
    assert target == {"at_most_ms": 250.0, "found_ms": None, "met": False}
    assert "p95 at most 250 ms: not measured" in printed(findings)


def test_a_node_that_could_not_encode_a_rendition_is_quoted(findings: Findings) -> None:
    del findings.ladder.renditions["360p"]
    findings.ladder.trimmed = "360p was left out: this machine is too slow"
    findings.ladder.switching = None
    assert findings.problems() == []
    assert findings.as_json()["ladder"]["trimmed"] == findings.ladder.trimmed
    assert findings.ladder.trimmed in printed(findings)


def printed(findings: Findings) -> str:
    output = io.StringIO()
    print_report(Console(file=output, width=160), findings)
    return output.getvalue()
