"""How the model is asked and what is made of its answer; the library is a stand-in."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from coldpath.errors import PermanentFailure
from coldpath.media import speech
from coldpath.media.words import Word

PCM = np.zeros(16_000, np.float32)


class Model:
    """In place of `faster_whisper.WhisperModel`: several languages, one answer."""

    def __init__(self, folder: str, **named: Any) -> None:
        self.folder, self.named = folder, named
        self.asked: list[dict[str, Any]] = []
        self.detects = "de"
        self.lines: list[Any] = []
        self.later: list[Any] = []
        """What it says when it is asked again."""
        self.encoded: list[int] = []
        """Frames that each answer was made of."""

    def encode(self, features: Any) -> None:
        self.encoded.append(features.shape[-1])

    def transcribe(self, pcm: Any, **named: Any) -> tuple[Any, Any]:
        """As the library does it: 10 ms a frame, filled up with zeros to 30 s."""
        self.asked.append(named)
        frames = np.full((80, len(pcm) // 160), -1.5, np.float32)
        self.encode(np.pad(frames, ((0, 0), (0, 3_000 - frames.shape[-1]))))
        lines, self.lines = self.lines, self.later or self.lines
        return iter(lines), SimpleNamespace(language=named["language"] or self.detects)


def line(
    text: str, *, no_speech: float = 0.0, logprob: float = -0.2, repeats: float = 1.3
) -> SimpleNamespace:
    """Tokens as the model writes them: "|" parts them, a space begins a word."""
    tokens = [
        SimpleNamespace(word=token, start=n * 0.5, end=n * 0.5 + 0.4)
        for n, token in enumerate(text.split("|"))
    ]
    return SimpleNamespace(
        words=tokens, no_speech_prob=no_speech, avg_logprob=logprob, compression_ratio=repeats
    )


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[speech.Transcriber, Model]]:
    def make(gpus: int = 0, **named: Any) -> tuple[speech.Transcriber, Model]:
        models: list[Model] = []

        def whisper_model(folder: str, **named: Any) -> Model:
            models.append(Model(folder, **named))
            return models[-1]

        library = SimpleNamespace(WhisperModel=whisper_model)
        engine = SimpleNamespace(get_cuda_device_count=lambda: gpus)
        monkeypatch.setitem(sys.modules, "faster_whisper", library)
        monkeypatch.setitem(sys.modules, "ctranslate2", engine)
        return speech.Transcriber(Path("/models/small"), **named), models[-1]

    return make


Made = Callable[..., tuple[speech.Transcriber, Model]]


def test_a_language_is_detected_unless_it_is_said(made: Made) -> None:
    transcriber, model = made()
    model.lines = [line(" Guten| Tag")]
    assert transcriber.hear(PCM) == speech.Heard(
        (Word("Guten", 0, 400), Word("Tag", 500, 900)), "de"
    )
    assert transcriber.hear(PCM, "fr").language == "fr"
    assert [asked["language"] for asked in model.asked] == [None, "fr"]


def test_languages_have_the_names_that_playlists_use(made: Made) -> None:
    transcriber, model = made()
    model.detects = "jw"
    assert transcriber.hear(PCM).language == "jv"


def test_short_sound_is_encoded_with_little_silence(made: Made) -> None:
    transcriber, model = made()
    for seconds in (1, 12, 27, 28, 30):
        transcriber.hear(np.zeros(seconds * 16_000, np.float32))
    assert model.encoded == [400, 1_500, 3_000, 3_000, 3_000]


def test_who_says_the_same_over_and_over_is_asked_again_with_all_of_it(made: Made) -> None:
    transcriber, model = made()
    model.lines, model.later = [line(" so| so| so", repeats=2.6)], [line(" so| be| it.")]
    assert [word.text for word in transcriber.hear(PCM).words] == ["so", "be", "it."]
    transcriber.hear(PCM)
    assert model.encoded == [400, 3_000, 400]


def test_words_are_whole(made: Made) -> None:
    transcriber, model = made()
    model.lines = [line(" cold|-hearted| and|.| "), line(" Next")]
    words = [word.text for word in transcriber.hear(PCM).words]
    assert words == ["cold-hearted", "and.", "Next"]


def test_a_word_does_not_last_into_the_silence_behind_it(made: Made) -> None:
    transcriber, model = made()
    model.lines = [line(" the| end.")]
    model.lines[0].words[-1].end = 3.0
    assert transcriber.hear(PCM).words[-1] == Word("end.", 500, 1_500)


def test_that_the_sound_was_cut_off_is_not_said(made: Made) -> None:
    transcriber, model = made()
    for cut_off, text in (("rather...", "rather"), ("cold-", "cold"), ("done.", "done.")):
        model.lines = [line(f" so...| {cut_off}")]
        assert [word.text for word in transcriber.hear(PCM).words] == ["so...", text]


def test_a_language_without_spaces_comes_in_pieces(made: Made) -> None:
    transcriber, model = made()
    model.detects, model.lines = "zh", [line("|".join("今天天气很好我们去公园散步吧"))]
    assert [word.text for word in transcriber.hear(PCM).words] == [
        "今天天气很好我们去公", "园散步吧",
    ]  # fmt: skip


def test_what_is_likely_no_speech_is_left_out(made: Made) -> None:
    transcriber, model = made()
    model.lines = [
        line(" Thank| you.", no_speech=0.8, logprob=-1.4),
        line(" Clear.", no_speech=0.8, logprob=-0.3),
        line(" Mumbled.", no_speech=0.1, logprob=-1.4),
        line(" so| so| so| so", repeats=2.6),
    ]
    assert [word.text for word in transcriber.hear(PCM).words] == ["Clear.", "Mumbled."]
    asked = model.asked[-1]
    assert asked["vad_filter"]
    assert not asked["condition_on_previous_text"]
    assert asked["temperature"] == 0.0


@pytest.mark.parametrize(
    ("gpus", "device", "used"),
    [(0, "auto", "cpu"), (1, "auto", "cuda"), (1, "cpu", "cpu"), (0, "cuda", "cuda")],
)
def test_it_runs_on_a_gpu_when_there_is_one(made: Made, gpus: int, device: str, used: str) -> None:
    _, model = made(gpus, device=device, threads=3)
    assert model.folder == "/models/small"
    assert model.named["device"] == used
    assert model.named["compute_type"] == {"cpu": "int8", "cuda": "float16"}[used]
    assert model.named["cpu_threads"] == 3
    assert model.named["local_files_only"]


def test_a_model_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(PermanentFailure, match="no CTranslate2 model"):
        speech.voice(speech.model_folder(str(tmp_path)), "")
    monkeypatch.setattr(speech.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PermanentFailure, match="pip install"):
        speech.model_folder("")
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    with pytest.raises(PermanentFailure, match="pip install"):
        speech.Transcriber(tmp_path)


def test_a_voice_is_the_model_and_its_language(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"12345")
    assert speech.voice(tmp_path, "") == f"{tmp_path.name}-5-"
    assert speech.voice(tmp_path, "de") != speech.voice(tmp_path, "")
