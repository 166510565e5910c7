"""Feeds a spool with recognisable media and reads back what it kept."""

import time
from collections.abc import Callable
from pathlib import Path

from hotpath.hls.spool import Spool, SpoolSession
from hotpath.hls.spool_layout import SessionFolder
from hotpath.media.unit import Codec, Format
from infra.keys import ProgramKey
from infra.manifest import RenditionEntry, SessionManifest

KEY = ProgramKey("default", "ev_a", "main")
STARTED_NS = 1_700_000_000_000_000_000
SECOND_NS = 1_000_000_000
PARTS = 4
WAIT_S = 20

FORMATS = {
    "video": Format("video", Codec.H264, 90_000, b"", "avc1.42c01f", width=1280, height=720),
    "audio": Format("audio", Codec.AAC, 48_000, b"", "mp4a.40.2", sample_rate=48_000, channels=2),
}


def part_bytes(rendition: str, msn: int, part: int, size: int = 1000) -> bytes:
    """Bytes that no other part has."""
    seed = f"{rendition}/{msn}/{part};".encode()
    return (seed * (size // len(seed) + 1))[:size]


def segment_bytes(rendition: str, msn: int, parts: int = PARTS, size: int = 1000) -> bytes:
    return b"".join(part_bytes(rendition, msn, part, size) for part in range(parts))


class Node:
    """Holds a spool and what it told."""

    def __init__(self, root: Path, **options: int) -> None:
        self.told: list[str] = []
        limits = {"max_bytes": 1 << 30, "reserve_bytes": 0} | options
        self.spool = Spool(root, on_degraded=self._degraded, on_restored=self._restored, **limits)

    def _degraded(self, key: ProgramKey, reason: str) -> None:
        self.told.append(f"{key.event} {reason}")

    def _restored(self, key: ProgramKey) -> None:
        self.told.append(f"{key.event} restored")

    def flush(self) -> None:
        assert self.spool.flush(10)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Feed:
    """Plays the packager: one-second segments of four parts in each rendition."""

    def __init__(
        self, session: SpoolSession, renditions: tuple[str, ...] = ("video",), size: int = 1000
    ) -> None:
        self.session = session
        self.renditions = renditions
        self.size = size
        for rendition in renditions:
            session.init(FORMATS[rendition], 0, f"init of {rendition}".encode())

    def part(self, rendition: str, msn: int, part: int) -> None:
        timescale = FORMATS[rendition].timescale
        pdt_ns = STARTED_NS + msn * SECOND_NS + part * SECOND_NS // PARTS
        self.session.part(
            rendition,
            msn,
            part,
            part_bytes(rendition, msn, part, self.size),
            init=0,
            start=msn * timescale + part * timescale // PARTS,
            duration=timescale // PARTS,
            samples=6,
            independent=part == 0,
            discontinuity_seq=0,
            pdt_ns=pdt_ns,
            ingest_ns=pdt_ns + 5,
        )

    def segment(self, msn: int) -> None:
        for rendition in self.renditions:
            for part in range(PARTS):
                self.part(rendition, msn, part)
            self.session.segment(rendition, msn, duration=FORMATS[rendition].timescale)

    def segments(self, msns: range) -> None:
        for msn in msns:
            self.segment(msn)


def open_session(
    spool: Spool, incarnation: str = "m1", key: ProgramKey = KEY, previous: tuple[str, ...] = ()
) -> SpoolSession:
    return spool.open_session(
        key, incarnation, previous, started_ns=STARTED_NS, target_duration_s=2
    )


def folder(root: Path, incarnation: str = "m1", key: ProgramKey = KEY) -> SessionFolder:
    return SessionFolder(root, key, incarnation)


def manifest(root: Path, incarnation: str = "m1") -> SessionManifest:
    return SessionManifest.model_validate_json(folder(root, incarnation).manifest.read_bytes())


def rendition(found: SessionManifest, name: str = "video") -> RenditionEntry:
    return next(entry for entry in found.renditions if entry.name == name)


def msns(found: SessionManifest, name: str = "video") -> list[int]:
    return [segment.msn for segment in rendition(found, name).segments]


def holes(found: SessionManifest, name: str = "video") -> list[tuple[int, int, str]]:
    return [(h.first_msn, h.last_msn, h.reason) for h in rendition(found, name).holes]
