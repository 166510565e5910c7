"""What the bucket holds of a programme, its manifest being there or not.

Invariant: a session that has a manifest is described by it; of one that has none, those segments of
a window that are stored. Where a segment may still come, `NotYet` is raised, until the caller runs
out of patience: then it counts as not recorded, as it does when later ones are there.

A live session costs one listing of its leading rendition, a bisection and one read per segment of
the window, not of the session. It says of init sections only what one of them can: a source that
changed its format while live has to wait for its manifest.

The wall clock of a live session is its tick 0, the programme's epoch: exactly, from an earlier
manifest or as the control API was told it, else from the name of the first incarnation
(`hotpath.program.checkpoint`: base 36 of the Unix milliseconds at which it was opened, some time
after its first keyframe).

Upstream: the object store. Downstream: `recording`, by way of the clip functions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from coldpath.errors import PermanentFailure, RetryLater
from coldpath.media.init_section import Track, track
from coldpath.media.samples import SegmentTimes, segment_times
from coldpath.media.window import NS, Window
from infra.errors import ObjectMissing
from infra.keys import InitKey, ManifestKey, ProgramKey, SegmentKey, parse
from infra.manifest import RenditionEntry, SegmentEntry, SessionManifest
from infra.renditions import RUNGS
from infra.storage.objects import ObjectStore

READERS = 8
AT_A_TIME = 3
"""Segments of a rendition that may be on their way together; a segment lasts seconds."""
_MS = 1_000_000
_JUMP = 10
"""Segments that are a tenth of a second apart or more do not follow on each other."""


class NotYet(RetryLater):
    """A segment is still on its way into the bucket."""


def incarnations(store: ObjectStore, program: ProgramKey) -> list[str]:
    """Names of the programme's sessions in the bucket, oldest first."""
    found = list(_folders(store, f"live/{program}/"))
    return sorted(found, key=lambda name: (len(name), name))


def manifest(store: ObjectStore, program: ProgramKey, incarnation: str) -> bytes | None:
    """A session's manifest, None while it is live or its media node is away."""
    try:
        return store.get(str(ManifestKey(program, incarnation)))
    except ObjectMissing:
        return None


def epoch_of(earlier: Sequence[SessionManifest], told: int | None, first: str) -> int:
    """Unix ns of the programme's tick 0; `told` by whoever asks, `first` names its first
    incarnation."""
    for session in earlier:
        # Sound is shown in the order in which it is decoded, so its start has no offset.
        for rendition in sorted(session.renditions, key=lambda r: r.kind != "audio"):
            if rendition.segments:
                entry = rendition.segments[0]
                return entry.pdt_ns - entry.start * NS // rendition.timescale
    if told is not None:
        return told
    try:
        return int(first, 36) * _MS
    except ValueError:
        raise PermanentFailure(f"{first!r} is no name of an incarnation") from None


def init_of(store: ObjectStore, segment: SegmentKey) -> str:
    """The init section that the segment plays with. No manifest says so yet: the newest that was
    there before it, for the uploader stores each before the first segment that needs it."""
    stored = store.head(str(segment))
    if stored is None:
        raise RetryLater(f"{segment} is not there")
    first = str(InitKey(segment.program, segment.incarnation, segment.rendition, 0))
    folder = first.removesuffix("0.mp4")
    there = [info.key for info in store.list(folder) if info.modified_ms <= stored.modified_ms]
    found = [key for key in map(parse, there) if isinstance(key, InitKey)]
    return str(max(found, key=lambda key: key.number)) if found else first


@dataclass(frozen=True, slots=True)
class _Stored:
    """A rendition of the session."""

    name: str
    track: Track


class LiveSession:
    """A session without a manifest. `patient`: what is missing is waited for."""

    def __init__(
        self,
        store: ObjectStore,
        program: ProgramKey,
        incarnation: str,
        *,
        epoch_ns: int,
        patient: bool,
    ) -> None:
        self._store = store
        self._program = program
        self._incarnation = incarnation
        self._epoch_ns = epoch_ns
        self._patient = patient
        self._times: dict[tuple[str, int], SegmentTimes | None] = {}
        self._sizes: dict[tuple[str, int], int] = {}

    def read(self, window: Window) -> SessionManifest | None:
        """The session as far as it shows the window; None: nothing of it lies there."""
        names = list(_folders(self._store, f"live/{self._program}/{self._incarnation}/"))
        stored = [_Stored(name, self._track(name)) for name in names]
        stored.sort(key=lambda s: (s.track.kind != "video", s.name in RUNGS, s.name))
        if not stored:
            return None
        with ThreadPoolExecutor(READERS, thread_name_prefix="segments") as pool:
            msns = self._window(stored[0], window, pool)
            if not msns:
                return None
            sequences = self._sequences(stored[0], msns)
            entries = tuple(self._rendition(each, sequences, pool) for each in stored)
        return SessionManifest(
            project=self._program.project,
            event=self._program.event,
            feed=self._program.feed,
            incarnation=self._incarnation,
            final=False,
            started_ns=self._epoch_ns,
            ended_ns=self._epoch_ns,
            target_duration_s=0,
            renditions=tuple(entry for entry in entries if entry.segments),
        )

    def _window(self, lead: _Stored, window: Window, pool: ThreadPoolExecutor) -> range:
        """Numbers of the leading rendition's segments that show the window."""
        listed = self._msns(lead)
        if not listed or self._shown_ns(lead, listed[0]) >= window.end_ns:
            return range(0)
        low, high = 0, len(listed)
        while high - low > 1:
            middle = (low + high) // 2
            if self._shown_ns(lead, listed[middle]) <= window.start_ns:
                low = middle
            else:
                high = middle
        while low and not self._read(lead, listed[low]).independent:
            low -= 1
        for at in range(low, len(listed), READERS):
            batch = listed[at : at + READERS]
            self._load(lead, batch, pool)
            for msn in batch:
                if self._end_ns(lead, msn) >= window.end_ns:
                    return range(listed[low], msn + 1)
        if self._patient:
            raise NotYet("the end of the clip is not in the bucket yet; it is tried again")
        return range(listed[low], listed[-1] + 1)

    def _sequences(self, lead: _Stored, msns: range) -> dict[int, int]:
        """By number of segment: a count that rises where time jumps."""
        found: dict[int, int] = {}
        sequence, end = 0, None
        for msn in msns:
            times = self._times.get((lead.name, msn))
            if times is not None:
                if end is not None and abs(times.start - end) * _JUMP > lead.track.timescale:
                    sequence += 1
                end = times.start + times.duration
            found[msn] = sequence
        return found

    def _rendition(
        self, stored: _Stored, sequences: Mapping[int, int], pool: ThreadPoolExecutor
    ) -> RenditionEntry:
        self._load(stored, sequences, pool)
        held = [msn for msn in sequences if self._times[stored.name, msn] is not None]
        missing = sorted(set(sequences).difference(held))
        if self._patient and not all(self._passed_over(stored, msn) for msn in missing):
            raise NotYet(f"segments of {stored.name} are not in the bucket yet")
        made = stored.track
        return RenditionEntry(
            name=stored.name,
            kind=made.kind,
            codecs=(made.codec,) if made.codec else (),
            timescale=made.timescale,
            inits=1,
            width=made.width,
            height=made.height,
            channels=made.channels,
            segments=tuple(self._entry(stored, msn, sequences[msn]) for msn in held),
        )

    def _passed_over(self, stored: _Stored, msn: int) -> bool:
        """Whether the segment will not come: the source had nothing for it, or it was lost.

        The media node sends the oldest first, a few at a time.
        """
        later = range(msn + AT_A_TIME, msn + 2 * AT_A_TIME)
        keys = (SegmentKey(self._program, self._incarnation, stored.name, n) for n in later)
        return any(
            self._times.get((stored.name, key.msn)) is not None
            or self._store.head(str(key)) is not None
            for key in keys
        )

    def _entry(self, stored: _Stored, msn: int, sequence: int) -> SegmentEntry:
        times = self._read(stored, msn)
        return SegmentEntry(
            msn=msn,
            init=0,
            start=times.start,
            duration=max(1, times.duration),
            bytes=self._sizes[stored.name, msn],
            samples=times.samples,
            discontinuity_seq=sequence,
            independent=times.independent,
            pdt_ns=self._shown_ns(stored, msn),
        )

    def _track(self, rendition: str) -> Track:
        keys = [str(InitKey(self._program, self._incarnation, rendition, n)) for n in (0, 1)]
        if self._store.head(keys[1]) is not None:
            raise PermanentFailure(
                f"the source changed the format of {rendition} while live; ask for the clip again "
                "when the event is over"
            )
        try:
            return track(self._store.get(keys[0]), keys[0])
        except ObjectMissing:
            raise NotYet(f"{keys[0]} is not in the bucket yet") from None

    def _msns(self, stored: _Stored) -> list[int]:
        prefix = f"live/{self._program}/{self._incarnation}/{stored.name}/s"
        keys = (parse(info.key) for info in self._store.list(prefix))
        return sorted(key.msn for key in keys if isinstance(key, SegmentKey))

    def _load(self, stored: _Stored, msns: Iterable[int], pool: ThreadPoolExecutor) -> None:
        missing = [msn for msn in msns if (stored.name, msn) not in self._times]
        for _ in pool.map(lambda msn: self._fetch(stored, msn), missing):
            pass

    def _fetch(self, stored: _Stored, msn: int) -> None:
        key = str(SegmentKey(self._program, self._incarnation, stored.name, msn))
        try:
            data = self._store.get(key)
        except ObjectMissing:
            self._times[stored.name, msn] = None
            return
        self._times[stored.name, msn] = segment_times(data, key)
        self._sizes[stored.name, msn] = len(data)

    def _read(self, stored: _Stored, msn: int) -> SegmentTimes:
        if (stored.name, msn) not in self._times:
            self._fetch(stored, msn)
        times = self._times[stored.name, msn]
        if times is None:
            raise NotYet(f"segment {msn} of {stored.name} was listed and is not there")
        return times

    def _shown_ns(self, stored: _Stored, msn: int) -> int:
        return self._epoch_ns + self._read(stored, msn).shown * NS // stored.track.timescale

    def _end_ns(self, stored: _Stored, msn: int) -> int:
        lasts = self._read(stored, msn).duration * NS // stored.track.timescale
        return self._shown_ns(stored, msn) + lasts


def _folders(store: ObjectStore, prefix: str) -> Iterator[str]:
    """Names of the folders right below `prefix`, one short listing each."""
    after = ""
    while (first := next(iter(store.list(prefix, after=after)), None)) is not None:
        name, slash, _ = first.key[len(prefix) :].partition("/")
        if slash:
            yield name
            # '0' follows '/': behind everything in the folder.
            after = f"{prefix}{name}0"
        else:
            after = first.key
