"""Windows of a programme's sound, and what the model hears in them.

Invariant: a window is heard once, whoever wants to know: what is stored is not heard again, and its
name says what was heard and by which model.

Upstream: segments in the bucket. Downstream: the captions functions.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from coldpath.context import JobContext
from coldpath.errors import DamagedMedia
from coldpath.media.hearing import Hearing, Stretch, Window, in_ms
from coldpath.media.init_section import track
from infra.keys import SegmentKey
from infra.settings import SpeechSettings

if TYPE_CHECKING:
    from coldpath.media.listening import Sound

log = logging.getLogger(__name__)

_JSON = "application/json"


class Listener:
    """Hears windows, each once."""

    def __init__(self, context: JobContext, settings: SpeechSettings, rendition: str) -> None:
        # numpy and the model take a moment to import; the dispatcher needs neither.
        from coldpath.media import speech

        self.settings = settings
        self._rendition = rendition
        self._context = context
        self._model = speech.model_folder(settings.speech_model)
        self._voice = f"{rendition} {speech.voice(self._model, settings.speech_language)}"

    def key(self, window: Window) -> str:
        return str(window.key(self._voice))

    def hear(self, windows: Sequence[Window], inits: Mapping[int, str]) -> list[Hearing]:
        """What each of these windows hears, which follow on each other: at once. `inits`: keys of
        the init sections with which the segments play."""
        store, keys = self._context.store, [self.key(window) for window in windows]
        if any(store.head(key) is None for key in keys):
            for key, heard in zip(keys, self._listen(windows, inits), strict=True):
                self._context.put(key, heard.to_json(), _JSON)
        return [Hearing.from_json(store.get(key)) for key in keys]

    def _listen(self, windows: Sequence[Window], inits: Mapping[int, str]) -> list[Hearing]:
        from coldpath.media import listening

        sounds = dict(self._sounds(windows, inits))
        said = []
        if any(msn >= windows[0].first for msn in sounds):
            said = [self._said(each) for each in listening.stretches(list(sounds.values()))]
        return [_of(window, sounds, said) for window in windows]

    def _said(self, stretch: "Sequence[Sound]") -> "_Said":
        from coldpath.media import listening, speech

        self._context.check()
        settings = self.settings
        model = speech.transcriber(self._model, settings.speech_device, settings.speech_threads)
        said = model.hear(listening.listen(stretch), settings.speech_language)
        at = in_ms(stretch[0].start)
        words = [replace(w, from_ms=w.from_ms + at, to_ms=w.to_ms + at) for w in said.words]
        return _Said(said.language, Stretch(at, in_ms(stretch[-1].end), tuple(words)))

    def _sounds(
        self, windows: Sequence[Window], inits: Mapping[int, str]
    ) -> Iterator[tuple[int, "Sound"]]:
        from coldpath.media.listening import sound

        store, first = self._context.store, windows[0]
        msns = sorted({msn for window in windows for msn in window.msns})
        sections = {key: store.get(key) for key in {inits[msn] for msn in msns}}
        for msn in msns:
            key = str(SegmentKey(first.program, first.incarnation, self._rendition, msn))
            init = sections[inits[msn]]
            try:
                yield msn, sound(key, store.get(key), init, track(init, inits[msn]).timescale)
            except DamagedMedia as error:
                log.warning("left out: %s", error)


@dataclass(frozen=True, slots=True)
class _Said:
    """What the model heard at once."""

    language: str
    stretch: Stretch


def _of(window: Window, sounds: "Mapping[int, Sound]", said: Iterable[_Said]) -> Hearing:
    """What is the window's of that."""
    from coldpath.media import listening

    before = [sounds[msn] for msn in window.msns if msn < window.first and msn in sounds]
    own = [sounds[msn] for msn in window.msns if msn >= window.first and msn in sounds]
    if not own:
        return Hearing("", 0, 0, ())
    from_ms, to_ms = in_ms([*before, *own][0].start), in_ms(own[-1].end)
    parts, languages = [], []
    for each in said:
        if (part := each.stretch.within(from_ms, to_ms)) is not None:
            parts.append(part)
            languages += [each.language] * len(part.words)
    return Hearing(
        max(languages, key=languages.count, default=""),
        in_ms(listening.cut(before[-1]) if before else own[0].start),
        in_ms(listening.cut(own[-1])),
        tuple(parts),
    )
