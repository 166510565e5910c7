"""Which runs of a recording fit into one MP4; pure.

Invariant: every run is in exactly one piece, in order, and all segments of one kind in a piece play
with byte-identical init sections. An MP4 track holds one sample description here: players that take
several are rare, players that break on them are not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from coldpath.media.recording import Recording, Rendition, Run

SOURCE = "archive"
"""How files of the source are named."""


@dataclass(slots=True)
class Piece:
    """Runs for one MP4."""

    number: int
    stem: str = SOURCE
    runs: list[Run] = field(default_factory=list)
    inits: dict[str, str] = field(default_factory=dict)
    """Rendition name to the key of an init section; any other one used has the same bytes."""

    @property
    def name(self) -> str:
        return f"{self.stem}-{self.number}.mp4" if self.number else f"{self.stem}.mp4"

    def samples(self, rendition: Rendition) -> int:
        """Access units that the manifests promise."""
        return sum(s.entry.samples for run in self.runs for s in run.of(rendition.name))

    def bytes(self, rendition: Rendition) -> int:
        """Of its segments, which is a little more than what a file takes of them."""
        return sum(s.entry.bytes for run in self.runs for s in run.of(rendition.name))

    def duration(self, renditions: Sequence[Rendition]) -> Fraction:
        """Seconds of media, gaps between runs left out."""
        return sum((_length(run, renditions) for run in self.runs), Fraction(0))


def archived(recording: Recording) -> list[Rendition]:
    """The renditions an archive holds: one picture, one sound."""
    return [r for r in (recording.first("video"), recording.first("audio")) if r is not None]


def init_keys(recording: Recording) -> list[str]:
    """Keys of every init section the archive needs, each once."""
    found = (
        segment.init_key
        for run in recording.runs
        for rendition in archived(recording)
        for segment in run.of(rendition.name)
    )
    return list(dict.fromkeys(found))


def pieces(recording: Recording, inits: Mapping[str, bytes], stem: str = SOURCE) -> list[Piece]:
    """Splits the recording where an init section changes; `inits` holds all of `init_keys`."""
    found: list[Piece] = []
    for run in recording.runs:
        needed = {
            r.name: segments[0].init_key
            for r in archived(recording)
            if (segments := run.of(r.name))
        }
        if not needed:
            continue
        if not found or not _fits(found[-1], needed, inits):
            found.append(Piece(len(found), stem))
        found[-1].runs.append(run)
        for name, key in needed.items():
            found[-1].inits.setdefault(name, key)
    return found


def _fits(piece: Piece, needed: Mapping[str, str], inits: Mapping[str, bytes]) -> bool:
    return all(
        inits[piece.inits[name]] == inits[key]
        for name, key in needed.items()
        if name in piece.inits
    )


def _length(run: Run, renditions: Sequence[Rendition]) -> Fraction:
    spans = [
        (
            Fraction(found[0].entry.start, r.timescale),
            Fraction(found[-1].entry.start + found[-1].entry.duration, r.timescale),
        )
        for r in renditions
        if (found := run.of(r.name))
    ]
    return max(end for _, end in spans) - min(start for start, _ in spans)
