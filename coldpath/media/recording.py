"""What was recorded of a programme, as runs that play without a break; pure.

Invariant: every segment that a manifest lists is in exactly one run, in the order in which it was
played; inside a run the timestamps of every rendition go on without a jump and the source keeps one
init section per track. What a ladder does never divides the recording of its source.

Upstream: the manifests of all incarnations of a programme. Downstream: `vod` (playlists) and
`remux` (MP4).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from infra.keys import InitKey, ProgramKey, SegmentKey
from infra.manifest import RenditionEntry, SegmentEntry, SessionManifest
from infra.renditions import RUNGS


@dataclass(frozen=True, slots=True)
class Segment:
    """One recorded segment and where it lies."""

    key: str
    init_key: str
    entry: SegmentEntry


@dataclass(slots=True)
class Run:
    """Consecutive media sequence numbers of one incarnation without a discontinuity."""

    program: ProgramKey
    incarnation: str
    discontinuity_seq: int
    msns: list[int] = field(default_factory=list)
    """Every number that at least one rendition has."""
    segments: dict[str, dict[int, Segment]] = field(default_factory=dict)
    """By rendition and number; a rendition may lack some, or all."""

    def of(self, rendition: str) -> list[Segment]:
        """The rendition's segments in order."""
        found = self.segments.get(rendition, {})
        return [found[msn] for msn in self.msns if msn in found]


@dataclass(frozen=True, slots=True)
class Rendition:
    """One rendition over all incarnations."""

    name: str
    kind: Literal["video", "audio"]
    timescale: int
    codecs: tuple[str, ...]
    """Every codec string that was used, in order of appearance."""
    width: int
    height: int
    channels: int
    language: str
    """RFC 5646; empty when not known. As in the latest incarnation, like the next."""
    describes_video: bool


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything recorded of one programme."""

    program: ProgramKey
    renditions: tuple[Rendition, ...]
    runs: tuple[Run, ...]

    def first(self, kind: Literal["video", "audio"]) -> Rendition | None:
        """The rendition that an archive of one picture and one sound takes: the source's."""
        found = [r for r in self.renditions if r.kind == kind]
        return min(found, key=lambda r: (r.name in RUNGS, r.name), default=None)


def content_id(manifests: Sequence[bytes]) -> str:
    """Identity of what an archive is made from: the bytes of its manifests, oldest first."""
    digest = hashlib.sha256()
    for manifest in manifests:
        digest.update(len(manifest).to_bytes(8, "big") + manifest)
    return digest.hexdigest()[:24]


def recording(manifests: Sequence[SessionManifest]) -> Recording:
    """The recording of a programme from the manifests of its incarnations, oldest first."""
    runs = [run for manifest in manifests for run in _runs(manifest)]
    first = manifests[0]
    return Recording(
        ProgramKey(first.project, first.event, first.feed), _renditions(manifests), tuple(runs)
    )


def narrowed(whole: Recording, name: str) -> Recording:
    """What was recorded of one rendition, with the first sound beside a picture. Its runs are
    those of the whole, and begin anew where it was not recorded or its init section changes."""
    chosen = next(r for r in whole.renditions if r.name == name)
    sound = whole.first("audio") if chosen.kind == "video" else None
    kept = (chosen, sound) if sound else (chosen,)
    names = [r.name for r in kept]
    runs = (part for run in whole.runs for part in _parts(run, names))
    return Recording(whole.program, kept, tuple(runs))


def _parts(run: Run, names: Sequence[str]) -> list[Run]:
    """The run where the first of these renditions is, which keeps one init section in each part."""
    lead = run.segments.get(names[0], {})
    parts: list[Run] = []
    for msn in run.msns:
        if msn not in lead:
            continue
        before = lead.get(msn - 1)
        if before is None or before.init_key != lead[msn].init_key:
            parts.append(Run(run.program, run.incarnation, run.discontinuity_seq))
        parts[-1].msns.append(msn)
        for name in names:
            if (segment := run.segments.get(name, {}).get(msn)) is not None:
                parts[-1].segments.setdefault(name, {})[msn] = segment
    return parts


def _runs(manifest: SessionManifest) -> list[Run]:
    program = ProgramKey(manifest.project, manifest.event, manifest.feed)
    by_msn: dict[int, dict[str, Segment]] = {}
    for rendition in manifest.renditions:
        for entry in rendition.segments:
            by_msn.setdefault(entry.msn, {})[rendition.name] = Segment(
                str(SegmentKey(program, manifest.incarnation, rendition.name, entry.msn)),
                str(InitKey(program, manifest.incarnation, rendition.name, entry.init)),
                entry,
            )
    runs: list[Run] = []
    for msn in sorted(by_msn):
        present = by_msn[msn]
        if not runs or not _continues(runs[-1], msn, present):
            sequence = next(iter(present.values())).entry.discontinuity_seq
            runs.append(Run(program, manifest.incarnation, sequence))
        runs[-1].msns.append(msn)
        for name, segment in present.items():
            runs[-1].segments.setdefault(name, {})[msn] = segment
    return runs


def _continues(run: Run, msn: int, present: dict[str, Segment]) -> bool:
    if msn != run.msns[-1] + 1:
        return False
    for name, segment in present.items():
        if segment.entry.discontinuity_seq != run.discontinuity_seq:
            return False
        if name in RUNGS:
            continue
        earlier = run.segments.get(name)
        # Numbers rise, so the last one that was put in is the latest.
        if earlier and next(reversed(earlier.values())).init_key != segment.init_key:
            return False
    return True


def _renditions(manifests: Sequence[SessionManifest]) -> tuple[Rendition, ...]:
    entries: dict[str, list[RenditionEntry]] = {}
    for manifest in manifests:
        for entry in manifest.renditions:
            if entry.segments:
                entries.setdefault(entry.name, []).append(entry)
    return tuple(
        Rendition(
            name=name,
            kind=found[0].kind,
            timescale=found[0].timescale,
            codecs=tuple(dict.fromkeys(c for entry in found for c in entry.codecs)),
            width=max(entry.width for entry in found),
            height=max(entry.height for entry in found),
            channels=max(entry.channels for entry in found),
            language=found[-1].language,
            describes_video=found[-1].describes_video,
        )
        for name, found in entries.items()
    )
