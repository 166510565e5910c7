"""What the demo found: the JSON for machines and the report for people.

Invariant: `ok` says that nothing is missing, and every problem is named; `targets` stand beside it.
The JSON has exactly the keys of `as_json`; later parts of the product add theirs beside them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from infra.demo.heard import Captions
from infra.demo.ladder import LadderFindings
from infra.demo.ladder_report import ladder_json, print_ladder
from infra.demo.made import Clip, Poster, Recording, Storyboard
from infra.demo.player import Viewing, nearest_rank
from infra.demo.targets import WHEP_P95_MS, Target
from infra.demo.verify import Archive
from infra.demo.whep_viewing import WhepViewing
from infra.telemetry.stages import STAGES

Quantiles = dict[str, float]


@dataclass(slots=True)
class Findings:
    """Filled in as the demo goes; what stays None did not happen."""

    fps: int
    ladder: LadderFindings
    frames_sent: int = 0
    viewing: Viewing | None = None
    realtime: WhepViewing | None = None
    first_keyframes_ms: list[float] = field(default_factory=list)
    """One for each short WHEP join."""
    stages_ms: dict[str, Quantiles] = field(default_factory=dict)
    archive: Archive | None = None
    seconds_after_end: float | None = None
    """From the end of the event until the archive was listed."""
    clip: Clip | None = None
    poster: Poster | None = None
    recording: Recording | None = None
    page_url: str = ""
    """Where people see all that; empty: it was not told."""
    storyboard: Storyboard | None = None
    captions: Captions | None = None
    transcribes: bool = True
    """Captions are to be expected."""
    jobs: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Steps that broke off."""

    @property
    def glass_to_glass_ms(self) -> dict[str, float | None]:
        return _quantiles(self.viewing.glass_to_glass_ms if self.viewing else None)

    @property
    def realtime_glass_to_glass_ms(self) -> dict[str, float | None]:
        return _quantiles(self.realtime.glass_to_glass_ms if self.realtime else None)

    @property
    def first_keyframe_ms(self) -> dict[str, float | None]:
        ordered = sorted(self.first_keyframes_ms)
        return _quantiles(lambda quantile: nearest_rank(ordered, quantile))

    @property
    def targets(self) -> list[Target]:
        whep = self.realtime_glass_to_glass_ms["p95"]
        return [Target("whep.glass_to_glass_ms.p95", WHEP_P95_MS, whep)]

    def problems(self) -> list[str]:
        """Everything that is missing, in words."""
        found = list(self.failures)
        if self.glass_to_glass_ms["p50"] is None:
            found.append("no frame with a readable clock reached the LL-HLS player")
        found += self._realtime_problems()
        found += self.ladder.problems()
        found += [
            f"no {stage} time was measured" for stage in STAGES if stage not in self.stages_ms
        ]
        if self.archive is None:
            found.append("there is no archive")
        else:
            found += self.archive.problems(self.frames_sent, self.fps)
        found += self._made_problems()
        if not self.jobs:
            found.append("the API lists no job of the event")
        found += [
            f"job {job['id']} ({job['function']}) is {job['state']}"
            for job in self.jobs
            if job["state"] != "succeeded"
        ]
        return found

    def _made_problems(self) -> list[str]:
        found = []
        made: dict[str, Clip | Poster | Storyboard | Captions | None] = {
            "clip": self.clip,
            "poster": self.poster,
            "storyboard": self.storyboard,
        }
        if self.transcribes:
            made["transcript"] = self.captions
        for what, one in made.items():
            found += [f"there is no {what}"] if one is None else one.problems()
        if self.recording is not None:
            found += self.recording.problems(captions=self.transcribes)
        return found

    def _realtime_problems(self) -> list[str]:
        found = []
        if self.realtime_glass_to_glass_ms["p50"] is None:
            found.append("no frame with a readable clock reached the WHEP viewer")
        if not self.first_keyframes_ms:
            found.append("no WHEP join got a whole keyframe")
        if self.realtime and self.realtime.lost_packets:
            found.append(f"the WHEP viewer lost {self.realtime.lost_packets} packets")
        return found

    def as_json(self) -> dict[str, Any]:
        archive = self.archive
        return {
            "ok": not self.problems(),
            "targets": {target.figure: target.as_json() for target in self.targets},
            "hls": {"glass_to_glass_ms": self.glass_to_glass_ms},
            "whep": {
                "glass_to_glass_ms": self.realtime_glass_to_glass_ms,
                "first_keyframe_ms": self.first_keyframe_ms,
                "lost_packets": self.realtime.lost_packets if self.realtime else None,
            },
            "ladder": ladder_json(self.ladder),
            "stages_ms": {
                stage: {name: round(ms, 3) for name, ms in self.stages_ms[stage].items()}
                for stage in STAGES
                if stage in self.stages_ms
            },
            "archive": {
                "frames_sent": self.frames_sent,
                "frames_decoded": len(archive.frames) if archive else 0,
                "audio": archive is not None and archive.has_sound,
                "seconds_after_end": self.seconds_after_end,
            },
            "clip": self.clip
            and {
                "ok": not self.clip.problems(),
                "frames": len(self.clip.wanted),
                "frames_decoded": len(self.clip.frames),
                "copied": self.clip.copied,
                "encoded": self.clip.encoded,
                "seconds_to_ready": self.clip.seconds_to_ready,
            },
            "poster": self.poster
            and {
                "width": self.poster.width,
                "height": self.poster.height,
                "brightness": self.poster.brightness,
            },
            "storyboard": self.storyboard
            and {"pictures": self.storyboard.pictures, "seconds": self.storyboard.seconds},
            "captions": self.captions
            and {
                "language": self.captions.language,
                "words": self.captions.words,
                "word_error_rate": self.captions.word_error_rate,
                "cues": self.captions.cues,
                "seconds_after_end": self.captions.seconds_after_end,
                "text": self.captions.text,
            },
            "jobs": [
                {key: job.get(key) for key in ("id", "function", "state", "attempt_count")}
                for job in self.jobs
            ],
        }


QUANTILES = {"p50": 0.5, "p95": 0.95}


def _quantiles(of: Callable[[float], float | None] | None) -> dict[str, float | None]:
    values = {name: of(quantile) if of else None for name, quantile in QUANTILES.items()}
    return {name: None if ms is None else round(ms, 1) for name, ms in values.items()}


STAGE_WORDS = {
    "demuxed": "taken out of the transport stream",
    "published": "placed on the programme's timeline",
    "sent": "handed to the socket for WebRTC viewers",
    "packaged": "ready for viewers as an LL-HLS part",
    "uploaded": "acknowledged by S3",
}


def print_report(console: Console, findings: Findings) -> None:
    """The report on the terminal."""
    console.print()
    console.print(_latency_table(findings))
    if findings.viewing:
        _print_viewing(console, findings.viewing)
    if findings.realtime:
        _print_realtime(console, findings.realtime, len(findings.first_keyframes_ms))
    print_ladder(console, findings.ladder)
    if findings.archive:
        _print_archive(console, findings, findings.archive)
    _print_made(console, findings)
    for job in findings.jobs:
        console.print(
            f"Job      {job['function']}: {job['state']}, attempts {job['attempt_count']}"
        )
    console.print()
    problems = findings.problems()
    for problem in problems:
        console.print(f"[red]✗[/red] {problem}", highlight=False)
    if not problems:
        console.print("[green]✓ Everything arrived.[/green]")


def _latency_table(findings: Findings) -> Table:
    table = Table(title="Delay", title_justify="left", title_style="bold")
    table.add_column("From the encoder's packet until it was …")
    table.add_column("p50", justify="right")
    table.add_column("p95", justify="right")
    for stage in STAGES:
        if values := findings.stages_ms.get(stage):
            label = f"{stage}: {STAGE_WORDS[stage]}"
            table.add_row(label, _ms(values.get("p50")), _ms(values.get("p95")))
    glass = findings.glass_to_glass_ms
    realtime, keyframe = findings.realtime_glass_to_glass_ms, findings.first_keyframe_ms
    table.add_section()
    label = "[bold]glass to glass[/bold]: drawn until shown by an LL-HLS player"
    table.add_row(label, f"[bold]{_ms(glass['p50'])}[/bold]", _ms(glass["p95"]))
    label = "[bold]glass to glass[/bold]: drawn until decoded by a WHEP viewer"
    table.add_row(label, f"[bold]{_ms(realtime['p50'])}[/bold]", _ms(realtime["p95"]))
    for target in findings.targets:
        table.add_row(f"  [{'green' if target.met else 'red'}]{target.words}[/]")
    table.add_row("WHEP join: asked until a whole keyframe came", *map(_ms, keyframe.values()))
    return table


def _ms(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def _print_viewing(console: Console, viewing: Viewing) -> None:
    stalled = sum(stall.duration_ns for stall in viewing.stalls) / 1e6
    console.print(
        f"Player   {len(viewing.shown)} frames shown, {viewing.hold_back_ms} ms of hold-back kept, "
        f"stalled {stalled:.0f} ms in all ({len(viewing.stalls)}x), "
        f"{viewing.skipped_parts} parts skipped",
        highlight=False,
        soft_wrap=True,
    )


def _print_realtime(console: Console, viewing: WhepViewing, joins: int) -> None:
    console.print(
        f"WebRTC   {viewing.frames} frames decoded, {viewing.lost_packets} packets lost, "
        f"{joins} short joins beside it",
        highlight=False,
        soft_wrap=True,
    )


def _print_archive(console: Console, findings: Findings, archive: Archive) -> None:
    sent = findings.frames_sent
    whole = sent - len(archive.missing(sent))
    audio = archive.audio
    sound = f"{audio.duration_ms / 1000:.1f} s at {audio.level_dbfs:.0f} dBFS" if audio else "none"
    after = findings.seconds_after_end
    when = "" if after is None else f", listed {after:.1f} s after the end"
    console.print(
        f"Archive  {whole} of {sent} frames decoded, {archive.duration_ms / 1000:.1f} s, "
        f"audio {sound}{when}",
        highlight=False,
        soft_wrap=True,
    )


def _print_made(console: Console, findings: Findings) -> None:
    if clip := findings.clip:
        console.print(
            f"Clip     {len(clip.frames)} of {len(clip.wanted)} frames decoded, {clip.copied} "
            f"copied, {clip.encoded} encoded again, ready in {clip.seconds_to_ready:.1f} s",
            highlight=False,
            soft_wrap=True,
        )
    if poster := findings.poster:
        console.print(
            f"Poster   {poster.width}x{poster.height}, brightness {poster.brightness:.0f} of 255",
            highlight=False,
        )
    if board := findings.storyboard:
        console.print(
            f"Scrub    {board.pictures} pictures for {board.seconds:.0f} s", highlight=False
        )
    if captions := findings.captions:
        _print_captions(console, captions)


def _print_captions(console: Console, captions: Captions) -> None:
    console.print(
        f"Captions {captions.words} words in {captions.cues} cues, "
        f"{captions.word_error_rate:.1%} wrong, listed {captions.seconds_after_end:.1f} s after "
        f"the end: “{captions.text[:60]} …”",
        highlight=False,
        soft_wrap=True,
    )
