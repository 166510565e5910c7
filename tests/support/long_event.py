"""A long event in little time: a media node's spool filled faster than it plays, a real uploader.

What follows (bucket, object events, dispatcher, worker) is a running stack's. Segments are encoded
once and repeated at later times, so that an hour costs as many objects, bytes and jobs as an hour,
but no hour.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from coldpath.media.init_section import track as track_of
from hotpath.hls.spool import Spool, SpoolSession
from hotpath.media.unit import Codec, Format
from hotpath.program.checkpoint import next_incarnation
from infra.db.control import Event, Project
from infra.db.engine import sync_engine
from infra.db.jobs import Asset, Job
from infra.keys import ProgramKey
from infra.lifecycle import EventState
from tests.support.looped import Loop, repeated, tracks
from tests.support.session import Fragment, Track, segments_of
from tests.support.stack import RunningStack
from tests.support.uploader import UploaderProcess

PROJECT = "long"
SEGMENT_S = 2.0
FLUSH_EVERY = 16
"""Segments between two looks at whether the disk keeps up; the spool's queue is bounded."""
POLL_S = 0.05
IDLE_S = 1.0
"""An object that is stored is a job within this time."""
TOLD_EVERY_S = 5.0
SPOOL_BYTES = 16 << 30
_BUSY = ("queued", "leased", "running", "retrying")
_NS = 1_000_000_000

Told = Callable[[str], None]


class LongEvent:
    """One event whose media node is this object."""

    def __init__(self, engine: Engine, name: str, root: Path) -> None:
        self._engine = engine
        self._name = name
        self._root = root
        self._lost: list[str] = []
        self._spool = Spool(
            root, SPOOL_BYTES, lambda key, why: self._lost.append(why), lambda key: None
        )

    def close(self) -> None:
        self._spool.close()

    def air(self, loop: Loop, seconds: float, told: Told) -> float:
        """The whole event; returns the Unix time at which it ended.

        Its last segment waits until everything before it is stored and worked on, as it would be
        if the event had lasted as long as it says.
        """
        began_ns = time.time_ns() - round(seconds * _NS)
        made = [repeated(track, seconds) for track in tracks(loop)]
        cut = [(track, list(segments_of(track, SEGMENT_S))) for track in made]
        session = self._session(began_ns)
        for track in made:
            session.init(_format(track), 0, track.init)
        last = len(cut[0][1]) - 1
        for msn in range(last):
            _record(session, cut, msn, began_ns)
            if msn % FLUSH_EVERY == 0:
                self._flush()
        self._flush()
        self._until_idle(told)
        _record(session, cut, last, began_ns)
        ended = time.time()
        session.seal(final=True)
        self._flush()
        return ended

    def state(self) -> str:
        with Session(self._engine) as session:
            return session.get_one(Event, self._name).state

    def jobs(self) -> list[Job]:
        with Session(self._engine, expire_on_commit=False) as session:
            return list(session.scalars(select(Job).where(Job.event == self._name)))

    def assets(self) -> dict[str, Asset]:
        """By kind, the newest of each."""
        with Session(self._engine, expire_on_commit=False) as session:
            found = session.scalars(
                select(Asset).where(Asset.event == self._name).order_by(Asset.created_ms)
            )
            return {asset.kind: asset for asset in found}

    def _session(self, began_ns: int) -> SpoolSession:
        return self._spool.open_session(
            ProgramKey(PROJECT, self._name),
            next_incarnation(began_ns // 1_000_000),
            (),
            started_ns=began_ns,
            target_duration_s=round(SEGMENT_S),
        )

    def _flush(self) -> None:
        assert self._spool.flush(60), "the disk does not keep up"
        assert self._lost == []

    def _until_idle(self, told: Told) -> None:
        told_at, busy_at = 0.0, time.monotonic()
        while (now := time.monotonic()) - busy_at < IDLE_S:
            files = sum(1 for _ in self._root.rglob("*.m4s"))
            jobs = sum(job.state in _BUSY for job in self.jobs())
            if files or jobs:
                busy_at = now
                if now - told_at > TOLD_EVERY_S:
                    told_at = now
                    told(f"{files} files wait for the uploader, {jobs} jobs for the worker")
            time.sleep(POLL_S)


def _record(
    session: SpoolSession,
    cut: list[tuple[Track, list[list[Fragment]]]],
    msn: int,
    began_ns: int,
) -> None:
    """Segment `msn` of every rendition."""
    for track, segments in cut:
        for part, fragment in enumerate(segments[msn]):
            at_ns = began_ns + fragment.base * _NS // track.timescale
            session.part(
                track.kind,
                msn,
                part,
                fragment.data,
                init=0,
                start=fragment.base,
                duration=fragment.duration,
                samples=fragment.samples,
                independent=fragment.keyframe,
                discontinuity_seq=0,
                pdt_ns=at_ns,
                ingest_ns=at_ns,
            )
        session.segment(track.kind, msn, duration=sum(f.duration for f in segments[msn]))


def _format(track: Track) -> Format:
    said = track_of(track.init, track.kind)
    return Format(
        track.kind,
        Codec.H264 if track.kind == "video" else Codec.AAC,
        track.timescale,
        b"",
        said.codec,
        width=said.width,
        height=said.height,
        sample_rate=track.timescale if track.kind == "audio" else 0,
        channels=said.channels,
    )


@contextmanager
def long_event(stack: RunningStack, name: str, folder: Path) -> Iterator[LongEvent]:
    """An event that is live, with a spool in `folder` and an uploader of its own."""
    now = time.time_ns() // 1_000_000
    engine = sync_engine(stack.endpoints.database_url)
    with Session(engine) as session, session.begin():
        if session.get(Project, PROJECT) is None:
            session.add(Project(id=PROJECT, name=PROJECT, created_ms=now))
            session.flush()
        session.add(
            Event(
                id=name,
                project=PROJECT,
                name=name,
                state=EventState.LIVE.value,
                access="public",
                kid="k1",
                created_ms=now,
                updated_ms=now,
            )
        )
    event = LongEvent(engine, name, folder / "spool")
    uploader = UploaderProcess(folder, stack.endpoints.s3_url)
    try:
        uploader.start()
        yield event
    finally:
        uploader.end()
        event.close()
        engine.dispose()
