"""Captions: what is said in a programme, while it is live and when it is over.

Live, each window of sound (`coldpath.media.hearing`) is a job as soon as its last segment is there;
what it hears is stored and told over the bus. At the end the windows become WebVTT, a text, and
words with their times; only those that are missing, the last one for instance, are heard then, as
many at once as the model takes. The multivariant playlist with captions comes last: whoever sees it
finds the rest. Where nobody speaks nothing is written.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from fractions import Fraction

from coldpath.context import JobContext
from coldpath.errors import PermanentFailure
from coldpath.functions.listener import Listener
from coldpath.functions.recorded import ATTEMPTS, Recorded, recorded
from coldpath.functions.registry import registry
from coldpath.media import hearing, live, vod
from coldpath.media.hearing import Hearing, Window, in_ms
from coldpath.media.recording import Rendition, Run
from coldpath.media.words import Word, cues, transcript
from coldpath.records import JobResult, NewAsset
from infra import captions_group
from infra.errors import BusUnavailable
from infra.events.bus import connect_blocking
from infra.events.captions import HeardWindow, announce
from infra.keys import InitKey, ManifestKey, SegmentKey, parse
from infra.settings import SpeechSettings
from infra.webvtt import CONTENT_TYPE, webvtt

log = logging.getLogger(__name__)

SOUND = "audio"
"""The rendition that is heard while the programme is live."""
PATIENCE = 6
"""Attempts that wait for segments which are still on their way into the bucket."""
_MS = 1_000_000
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"


def _ends_a_window(key: SegmentKey) -> bool:
    return key.rendition == SOUND and hearing.closes(key.msn)


@registry.function(
    "captions-live",
    on=SegmentKey,
    when=_ends_a_window,
    queue="gpu",
    max_attempts=PATIENCE + 3,
    timeout_s=300,
    backoff_base_ms=1_000,
    backoff_limit_ms=4_000,
    memory_mb=768,
)
def captions_live(context: JobContext) -> JobResult:
    """Transcribes the window that a segment ends, and tells it."""
    segment = parse(context.lease.input_key)
    if not isinstance(segment, SegmentKey):
        raise PermanentFailure(f"{context.lease.input_key} is no segment")
    ear = Listener(context, SpeechSettings(), SOUND)
    window = _live_window(context, segment)
    inits = {msn: _live_init(context, segment, msn) for msn in window.msns}
    (heard,) = ear.hear([window], inits)
    told = _tell(context, ear.settings.bus_url, window, heard)
    words = sum(len(stretch.words) for stretch in heard.stretches)
    return JobResult({"keys": [ear.key(window)], "words": words, "told": told})


@registry.function(
    "captions",
    on=ManifestKey,
    queue="gpu",
    max_attempts=ATTEMPTS,
    timeout_s=6 * 3600,
    memory_mb=768,
)
def captions(context: JobContext) -> JobResult:
    """Transcribes the programme that the job's manifest ends."""
    found = recorded(context)
    if isinstance(found, JobResult):
        return found
    sound = found.whole.first("audio")
    if sound is None:
        return JobResult({"skipped": "no sound was recorded"})
    return _Captions(context, found, sound, Listener(context, SpeechSettings(), sound.name)).make()


def _live_window(context: JobContext, last: SegmentKey) -> Window:
    """Raises `NotYet` while segments of the window may still come."""
    store = context.store
    number = last.msn // hearing.SEGMENTS
    wanted = hearing.wanted(number)

    def there(msn: int) -> bool:
        return store.head(str(replace(last, msn=msn))) is not None

    msns = tuple(msn for msn in wanted if there(msn))
    if context.lease.attempt < PATIENCE:
        for msn in wanted:
            # The media node sends the oldest first, a few at a time.
            later = range(msn + live.AT_A_TIME, msn + 2 * live.AT_A_TIME)
            if msn not in msns and not any(map(there, later)):
                raise live.NotYet(f"segment {msn} of the sound is not in the bucket yet")
    return Window(last.program, last.incarnation, number, msns)


def _live_init(context: JobContext, segment: SegmentKey, msn: int) -> str:
    second = InitKey(segment.program, segment.incarnation, segment.rendition, 1)
    if context.store.head(str(second)) is None:
        return str(replace(second, number=0))
    return live.init_of(context.store, replace(segment, msn=msn))


def _tell(context: JobContext, bus_url: str, window: Window, heard: Hearing) -> bool:
    """Whether the bus took it. It is for those who watch now: nothing waits for a bus that is
    away."""
    names = live.incarnations(context.store, window.program)
    # Never from a manifest, which knows better but may come between two windows.
    epoch_ms = live.epoch_of((), None, names[0]) // _MS
    try:
        with closing(connect_blocking(bus_url)) as client:
            for part in heard.parts():
                announce(client, _said(window, part, epoch_ms))
    except (BusUnavailable, ValueError) as error:
        log.warning("nobody is told what was said: %s", error)
        return False
    return True


def _said(window: Window, part: Hearing, epoch_ms: int) -> HeardWindow:
    """Raises `ValueError` for what is no window of a live programme, such as one of minutes."""
    program = window.program
    return HeardWindow(
        *(program.project, program.event, program.feed, window.incarnation, part.language),
        from_ms=epoch_ms + part.from_ms,
        until_ms=epoch_ms + part.to_ms,
        cues=part.cues(epoch_ms),
    )


@dataclass(slots=True)
class _Part:
    """The sound of one incarnation."""

    runs: list[Run]
    inits: dict[int, str]
    """Key of the init section of each of its segments."""
    seconds: dict[int, Fraction]
    """How long each is."""
    windows: list[Window]
    heard: dict[int, Hearing]
    """By number of the window."""


class _Captions:
    """Writes what is said in one recording."""

    def __init__(
        self, context: JobContext, found: Recorded, sound: Rendition, ear: Listener
    ) -> None:
        self._context = context
        self._found = found
        self._sound = sound
        self._ear = ear
        self._lengths = vod.run_lengths(found.whole)
        self._parts = list(self._by_incarnation())

    def make(self) -> JobResult:
        content = self._found.content
        fresh = self._hear()
        language = hearing.spoken(h for part in self._parts for h in part.heard.values())
        runs = [run for part in self._parts for run in self._runs(part)]
        whole = list(self._presented(runs))
        if not whole:
            return JobResult({"content": content, "skipped": "nobody speaks"})
        offered = {"playlist": captions_group.WITH_CAPTIONS, "language": language}
        assets = [
            self._asset("captions", "captions.vtt", webvtt(cues(whole)), CONTENT_TYPE, **offered),
            self._asset("transcript", "transcript.txt", transcript(whole), _TEXT),
            self._asset("words", "captions.json", _json(whole, language), _JSON),
        ]
        self._playlists(runs, language)
        return JobResult(
            {"content": content, "words": len(whole), "language": language, "heard_now": fresh},
            assets,
        )

    def _hear(self) -> int:
        """Every window; how many had to be heard now."""
        for part in self._parts:
            self._find(part)
        total = sum(len(part.windows) for part in self._parts)
        found = done = sum(len(part.heard) for part in self._parts)
        for part in self._parts:
            for group in hearing.together(part.windows, part.heard, part.seconds):
                heard = self._ear.hear(group, part.inits)
                part.heard |= {w.number: h for w, h in zip(group, heard, strict=True)}
                done += len(group)
                self._context.progress(done, total)
                self._context.checkpoint({"windows": done})
        return total - found

    def _find(self, part: _Part) -> None:
        """What is stored of an incarnation."""
        if not part.windows:
            return
        store = self._context.store
        first = part.windows[0].key("")
        folder = str(first).removesuffix(first.name)
        stored = {info.key for info in store.list(folder)}
        there = {w.number: key for w in part.windows if (key := self._ear.key(w)) in stored}
        with ThreadPoolExecutor(live.READERS, thread_name_prefix="windows") as pool:
            found = pool.map(store.get, there.values())
            part.heard = {n: Hearing.from_json(raw) for n, raw in zip(there, found, strict=True)}

    def _by_incarnation(self) -> Iterator[_Part]:
        whole = self._found.whole
        for incarnation in dict.fromkeys(run.incarnation for run in whole.runs):
            runs = [run for run in whole.runs if run.incarnation == incarnation]
            sounds = [segment for run in runs for segment in run.of(self._sound.name)]
            inits = {s.entry.msn: s.init_key for s in sounds}
            scale = self._sound.timescale
            seconds = {s.entry.msn: Fraction(s.entry.duration, scale) for s in sounds}
            windows = hearing.windows(whole.program, incarnation, inits)
            yield _Part(runs, inits, seconds, windows, {})

    def _runs(self, part: _Part) -> list[list[Word]]:
        """Words of each run, from its start."""
        starts = [in_ms(vod.run_start(self._found.whole, run)) for run in part.runs]
        ordered = (part.heard[window.number] for window in part.windows)
        return hearing.by_run(hearing.joined(ordered), starts)

    def _presented(self, runs: Iterable[list[Word]]) -> Iterator[Word]:
        """With times of the VOD presentation, which goes by the picture."""
        at = Fraction(0)
        for words, length in zip(runs, self._lengths, strict=True):
            begin, end = in_ms(at), in_ms(at + length)
            for word in words:
                to_ms = min(begin + word.to_ms, end)
                yield replace(word, from_ms=min(begin + word.from_ms, to_ms), to_ms=to_ms)
            at += length

    def _playlists(self, runs: list[list[Word]], language: str) -> None:
        """A WebVTT file for each run, whose times are those of its media."""
        whole = self._found.whole
        names = [f"captions-{number}.vtt" for number in range(len(runs))]
        for name, run, words in zip(names, whole.runs, runs, strict=True):
            media_ms = in_ms(vod.run_start(whole, run))
            text = webvtt(cues(words), media_ms=media_ms)
            self._put(name, text, CONTENT_TYPE)
        self._put(captions_group.PLAYLIST, vod.captions_playlist(whole, names), vod.CONTENT_TYPE)
        self._put(
            captions_group.WITH_CAPTIONS, vod.with_captions(whole, language), vod.CONTENT_TYPE
        )

    def _asset(self, kind: str, name: str, text: str, content_type: str, **detail: str) -> NewAsset:
        return NewAsset(
            kind=kind,
            key=self._found.key(name),
            content_type=content_type,
            bytes=self._put(name, text, content_type),
            duration_ms=in_ms(sum(self._lengths, Fraction(0))),
            detail=detail,
        )

    def _put(self, name: str, text: str, content_type: str) -> int:
        return self._context.put(self._found.key(name), text.encode(), content_type).bytes


def _json(words: list[Word], language: str) -> str:
    said = [asdict(word) for word in words]
    return json.dumps({"language": language, "words": said}, ensure_ascii=False)
