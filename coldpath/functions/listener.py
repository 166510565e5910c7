"""Windows of a programme's sound, and what the model hears in them.

Invariant: a window is heard once, whoever wants to know: what is stored is not heard again, and its
name says what was heard and by which model.

Upstream: segments in the bucket. Downstream: the captions functions.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from coldpath.context import JobContext
from coldpath.errors import DamagedMedia
from coldpath.media.boxes import track
from coldpath.media.hearing import Hearing, Stretch, Window, in_ms
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

    def hear(self, window: Window, inits: Mapping[int, str]) -> Hearing:
        """`inits`: keys of the init sections with which the window's segments play."""
        key = self.key(window)
        if self._context.store.head(key) is None:
            heard = self._listen(window, inits)
            self._context.put(key, heard.to_json(), _JSON)
        return Hearing.from_json(self._context.store.get(key))

    def _listen(self, window: Window, inits: Mapping[int, str]) -> Hearing:
        from coldpath.media import listening, speech

        sounds = dict(self._sounds(window, inits))
        before = [each for msn, each in sounds.items() if msn < window.first]
        own = [each for msn, each in sounds.items() if msn >= window.first]
        if not own:
            return Hearing("", 0, 0, ())
        settings = self.settings
        model = speech.transcriber(self._model, settings.speech_device, settings.speech_threads)
        stretches, languages = [], []
        for stretch in listening.stretches(list(sounds.values())):
            self._context.check()
            said = model.hear(listening.listen(stretch), settings.speech_language)
            at = in_ms(stretch[0].start)
            words = [replace(w, from_ms=w.from_ms + at, to_ms=w.to_ms + at) for w in said.words]
            stretches.append(Stretch(at, in_ms(stretch[-1].end), tuple(words)))
            languages += [said.language] * len(words)
        return Hearing(
            max(languages, key=languages.count, default=""),
            in_ms(listening.cut(before[-1]) if before else own[0].start),
            in_ms(listening.cut(own[-1])),
            tuple(stretches),
        )

    def _sounds(self, window: Window, inits: Mapping[int, str]) -> Iterator[tuple[int, "Sound"]]:
        from coldpath.media.listening import sound

        store = self._context.store
        sections = {key: store.get(key) for key in set(inits.values())}
        for msn in window.msns:
            key = str(SegmentKey(window.program, window.incarnation, self._rendition, msn))
            init = sections[inits[msn]]
            try:
                yield msn, sound(key, store.get(key), init, track(init, inits[msn]).timescale)
            except DamagedMedia as error:
                log.warning("left out: %s", error)
