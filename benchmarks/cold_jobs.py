"""What functions take, run as a worker runs them, in turns with the plain tool.

Lease, ledger (SQLite) and scratch folder are real; the bucket is in memory. Both sides have one
core, as a job of a worker has on a full machine, and their threads and child processes with it.
"""

import importlib
import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from benchmarks.cold_media import KEY, Media, ffmpeg
from benchmarks.cold_speech import Speech, there
from benchmarks.livepath_server import on_cores
from coldpath.functions.registry import load
from coldpath.ledger import Ledger
from coldpath.plan import ObjectVersion, plan
from coldpath.runner import Outcome, Runner
from infra.db.engine import sync_engine
from infra.db.jobs import Job
from infra.jobs.filing import JobRequest, OwnKey, requested
from infra.storage.objects import ObjectStore
from tests.support.databases import migrated_sqlite

CLIP = (61.4, 91.4)
"""Seconds; neither end is on a keyframe."""
CAPTIONS = "captions"
WARM = ("coldpath.media.preview", "coldpath.media.sprite", "coldpath.media.cut_check")
"""A worker's process has imported what it needs after its first jobs."""
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18")
"""As `coldpath.media.encoding` does it."""

FUNCTIONS = load(captions=True)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Spent:
    wall_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Contest:
    """A function, and the plain tool that does the same."""

    name: str
    seconds: float
    """Of media that are worked on."""
    ours: Callable[[], Spent]
    plain: Callable[[], Spent] | None = None
    tool: str = ""
    target: float = 0.0
    """Times real time, at least."""

    def run(self, rounds: int) -> Row:
        """Ours and the plain tool in turns."""
        mine: list[Spent] = []
        other: list[Spent] = []
        for _ in range(rounds):
            mine.append(self.ours())
            if self.plain is not None:
                other.append(self.plain())
        row: Row = {"media_s": self.seconds, **self._figures("ours", mine)}
        row |= self._figures("plain", other) | {"tool": self.tool} if other else {}
        if other:
            row["of_plain"] = round(row["ours_best_s"] / row["plain_best_s"], 2)
            row["of_plain_cpu"] = round(row["ours_cpu_s"] / row["plain_cpu_s"], 2)
        if self.target:
            row["target"] = self.target
        met = row["ours_realtime"] >= self.target and row.get("of_plain", 0.0) <= 1.0
        return row | {"met": met}

    def _figures(self, who: str, spent: list[Spent]) -> Row:
        walls = [each.wall_s for each in spent]
        best = min(walls)
        return {
            f"{who}_best_s": round(best, 3),
            f"{who}_median_s": round(statistics.median(walls), 3),
            f"{who}_cpu_s": round(min(each.cpu_s for each in spent), 3),
            f"{who}_realtime": round(self.seconds / best, 1),
        }


def spent(work: Callable[[], object]) -> Spent:
    """Time on the wall and on processors, that of child processes included."""
    wall, cpu = time.perf_counter(), _cpu_s()
    work()
    return Spent(time.perf_counter() - wall, _cpu_s() - cpu)


def _cpu_s() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(found.ru_utime + found.ru_stime for found in both)


class Desk:
    """A worker's runner, and the ledger before it."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self._ledger = ledger
        self._folder = folder
        self._numbers = count()

    def for_manifest(self, function: str, media: Media | Speech) -> Spent:
        """The job that the event's last manifest starts."""
        version = ObjectVersion(media.recorded.manifest_key, f"v{next(self._numbers)}")
        (request,) = (r for r in plan([version], FUNCTIONS) if r.function == function)
        return self._run(request, media.bucket())

    def asked(self, function: str, media: Media, params: Mapping[str, Any]) -> Spent:
        """The job that a client asks for."""
        bound = FUNCTIONS.get(function)
        assert bound is not None
        terms = bound.terms
        request = requested(
            function,
            KEY,
            params,
            queue=terms.queue,
            max_attempts=terms.max_attempts,
            timeout_s=terms.timeout_s,
            apart=OwnKey("bench", str(next(self._numbers))),
        )
        return self._run(request, media.bucket())

    def _run(self, request: JobRequest, store: ObjectStore) -> Spent:
        self._ledger.file([request])
        runner = Runner(self._ledger, store, FUNCTIONS, scratch=self._folder, worker="bench")
        outcomes: list[Outcome] = []
        found = spent(lambda: outcomes.append(runner.run(request.id)))
        if outcomes != [Outcome.SUCCEEDED]:
            with Session(self._ledger.engine) as session:
                error = session.get_one(Job, request.id).error
            raise RuntimeError(f"{request.function} did not succeed: {error}")
        return found


@contextmanager
def desk(folder: Path) -> Iterator[Desk]:
    engine = sync_engine(migrated_sqlite(folder))
    try:
        yield Desk(Ledger(engine), folder / "scratch")
    finally:
        engine.dispose()


def contests(desk: Desk, media: Media) -> list[Contest]:
    """Everything that is made of a recording, without what is said in it."""
    length, out = float(media.seconds), media.folder
    start, end = CLIP

    def made(*arguments: str | Path) -> Callable[[], Spent]:
        return lambda: spent(lambda: ffmpeg(*arguments))

    def ours(function: str) -> Callable[[], Spent]:
        return lambda: desk.for_manifest(function, media)

    video, audio = media.fragments
    copied = made("-i", video, "-i", audio, "-c", "copy", "-movflags", "+faststart", out / "c.mp4")
    keys = ("-skip_frame", "nokey", "-i", media.file)
    tiles = made(*keys, "-vf", "scale=160:90:flags=area,tile=10x5", "-q:v", "5", out / "t%d.jpg")
    # The best of pictures from all over the event, as the function takes it.
    spread = f"select='not(mod(n,{media.seconds // 2 // 24}))',thumbnail=24"
    chosen = made(*keys, "-vf", spread, "-frames:v", "1", "-q:v", "3", out / "p.jpg")
    again = made(
        *("-ss", f"{start}", "-i", media.file, "-t", f"{end - start:g}", *X264, "-c:a", "copy"),
        *("-movflags", "+faststart", out / "x.mp4"),
    )
    asked = {
        "clock": "recording",
        "start_ms": round(start * 1000),
        "end_ms": round(end * 1000),
    }
    return [
        Contest("archive", length, ours("archive"), target=300),
        Contest("archive-mp4", length, ours("archive-mp4"), copied, "ffmpeg -c copy", 300),
        Contest("thumbnails", length, ours("thumbnails"), chosen, "-skip_frame nokey, thumbnail"),
        Contest("storyboard", length, ours("storyboard"), tiles, "-skip_frame nokey, tile", 100),
        Contest(
            "clip-exact",
            end - start,
            lambda: desk.asked("clip-exact", media, asked),
            again,
            "full re-encode, veryfast",
        ),
    ]


def spoken(desk: Desk, speech: Speech) -> Contest:
    """What is said."""
    bare = speech.bare()
    desk.for_manifest(CAPTIONS, speech)  # loads the model
    return Contest(
        CAPTIONS,
        float(speech.seconds),
        lambda: desk.for_manifest(CAPTIONS, speech),
        lambda: spent(bare),
        "bare faster-whisper",
    )


def measure(
    media: Media, only: list[str], rounds: int, cores: tuple[int, ...], say: Callable[[str], None]
) -> Iterator[tuple[str, Row]]:
    """One row for each function."""
    for module in WARM:
        importlib.import_module(module)
    with on_cores(cores), desk(media.folder) as one:
        # The pictures of an event take a while to make, and speech needs none.
        for contest in contests(one, media) if only != [CAPTIONS] else []:
            if not only or contest.name in only:
                say(f"{contest.name}, {rounds} rounds ...")
                yield contest.name, contest.run(rounds)
        if not only or CAPTIONS in only:
            if there():
                say(f"{CAPTIONS}, the model is loaded, {rounds} rounds ...")
                yield CAPTIONS, spoken(one, Speech(media.folder)).run(rounds)
            else:
                say(f"{CAPTIONS} are left out: pip install 'livepath[captions]'")
