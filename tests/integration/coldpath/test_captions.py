"""Captions of real speech by the packaged model, told over a real Valkey."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from coldpath.functions import captions
from coldpath.ledger import Ledger
from coldpath.media import listening, speech
from coldpath.media.words import Word
from coldpath.records import JobResult
from infra.db.engine import sync_engine
from infra.demo.words import word_error_rate, words_of
from infra.events.bus import connect
from infra.events.captions import CHANNEL, HeardWindow, heard
from infra.keys import ProgramKey, SegmentKey
from tests.support.databases import migrated_sqlite
from tests.support.functions import CountingStore, attempt
from tests.support.session import AUDIO_RATE, Session, encode, session
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration

KEY = ProgramKey("p", "e")
OPENED = "lsv3hr9c"
READER = Path(captions.__file__).parents[2] / "infra" / "demo" / "speech" / "speech.ogg"
SPEAKER = Path(__file__).parents[2] / "support" / "speech" / "address.ogg"
LEAD_S = 3.0
NEAR_MS = 300


def said(clip: Path) -> list[str]:
    text = clip.with_name("README.txt").read_text()
    return words_of(text.split("What is said\n")[1].split("\n\n")[0])


def talk(clip: Path, seconds: float, key: ProgramKey = KEY) -> Session:
    """The clip after some silence, 100 s into the programme."""
    still = f"anullsrc=r=48000:cl=mono,atrim=0:{LEAD_S}[a]"
    voice = f"amovie={clip},aresample=48000,aformat=channel_layouts=mono[b]"
    sound = f"{still};{voice};[a][b]concat=n=2:v=0:a=1,apad,atrim=0:{seconds}"
    return session(key, OPENED, *encode(seconds, size="160x90", sound=sound), start_s=100.0)


@dataclass
class Heard:
    """What came of a programme that was transcribed while it was live and at its end."""

    store: CountingStore
    result: JobResult
    windows: list[HeardWindow] = field(default_factory=list)

    @property
    def words(self) -> list[Word]:
        (key,) = (asset.key for asset in self.result.assets if asset.kind == "words")
        return [Word(**each) for each in json.loads(self.store.get(key))["words"]]

    @property
    def text(self) -> list[str]:
        return words_of(" ".join(word.text for word in self.words))


class Desk:
    """Runs attempts over one store and one ledger."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.store = CountingStore()
        self._ledger = ledger
        self._folder = folder

    def live(self, msn: int) -> JobResult:
        key = str(SegmentKey(KEY, OPENED, "audio", msn))
        return attempt("captions-live", self._ledger, self.store, key, self._folder)

    def end(self, whole: Session) -> JobResult:
        return attempt("captions", self._ledger, self.store, whole.manifest_key, self._folder)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("captions")
    engine = sync_engine(migrated_sqlite(folder))
    yield Desk(folder, Ledger(engine))
    engine.dispose()


@pytest.fixture(scope="module")
def transcribed(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heard]:
    whole = talk(READER, 22.0)
    with (
        ValkeyServer(tmp_path_factory.mktemp("valkey")) as valkey,
        pytest.MonkeyPatch.context() as environment,
    ):
        environment.setenv("LIVEPATH_BUS_URL", valkey.url)
        for key, data in whole.objects.items():
            desk.store.put(key, data, "video/mp4")
        windows = asyncio.run(_listen(desk, valkey))
        whole.upload_manifest(desk.store)
        yield Heard(desk.store, desk.end(whole), windows)


async def _listen(desk: Desk, valkey: ValkeyServer) -> list[HeardWindow]:
    """What is told of the two whole windows, the later one first."""
    found: list[HeardWindow] = []
    async with connect(valkey.url) as client, asyncio.timeout(60):
        listening = heard(client)
        first = asyncio.ensure_future(anext(listening))
        with valkey.client() as looking:
            while not looking.pubsub_numsub(CHANNEL)[0][1]:
                await asyncio.sleep(0.01)
        await asyncio.to_thread(desk.live, 7)
        found.append(await first)
        await asyncio.to_thread(desk.live, 3)
        found.append(await anext(listening))
        await listening.aclose()
    return found


def test_what_is_said_is_written(transcribed: Heard) -> None:
    assert word_error_rate(said(READER), transcribed.text) < 0.15
    assert "ill-disposed" in [word.text for word in transcribed.words]
    assert transcribed.result.outputs["heard_now"] == 1


def test_words_have_the_times_at_which_they_are_said(transcribed: Heard) -> None:
    found, lead = transcribed.words, round(LEAD_S * 1000)
    assert abs(found[0].from_ms - lead) < NEAR_MS
    # Where ffmpeg's silencedetect (-40 dB) ends the two pauses of 0.4 s or more, and the voice.
    said_at = {w.text.strip(".,").lower(): w.from_ms for w in reversed(found)}
    assert abs(said_at["he"] - (lead + 7_377)) < NEAR_MS
    assert abs(said_at["unless"] - (lead + 10_357)) < NEAR_MS
    assert abs(found[-1].to_ms - (lead + 18_372)) < 2 * NEAR_MS


def test_the_same_is_told_while_it_is_live(transcribed: Heard) -> None:
    late, early = transcribed.windows
    assert early.until_ms == late.from_ms
    epoch = int(OPENED, 36)
    assert abs(early.from_ms - (epoch + 100_000)) < NEAR_MS
    told = words_of(" ".join(cue.text for window in (early, late) for cue in window.cues))
    until = late.until_ms - epoch - 100_000
    by_then = [word for word in transcribed.words if word.to_ms < until]
    assert word_error_rate(words_of(" ".join(w.text for w in by_then)), told) < 0.15
    assert abs(early.cues[0].start_ms - (epoch + 103_000)) < NEAR_MS


def test_the_same_is_heard_at_once_where_nobody_heard_it_live(
    desk: Desk, transcribed: Heard
) -> None:
    whole = talk(READER, 22.0, ProgramKey("p", "unheard"))
    whole.upload(desk.store)
    found = Heard(desk.store, desk.end(whole))
    assert found.result.outputs["heard_now"] == 3
    assert word_error_rate(said(READER), found.text) < 0.15
    assert word_error_rate(transcribed.text, found.text) < 0.1
    assert abs(found.words[-1].from_ms - transcribed.words[-1].from_ms) < NEAR_MS


def test_another_voice_is_understood(desk: Desk) -> None:
    whole = talk(SPEAKER, 14.0)
    (init,) = (data for key, data in whole.objects.items() if key.endswith("audio/init-0.mp4"))
    segments = [data for key, data in whole.objects.items() if "/audio/s" in key]
    sounds = [listening.sound("s", data, init, AUDIO_RATE) for data in segments]
    transcriber = speech.transcriber(speech.model_folder(""), "auto", 0)
    found = transcriber.hear(listening.listen(sounds))
    assert word_error_rate(said(SPEAKER), words_of(" ".join(w.text for w in found.words))) < 0.15
    assert found.language == "en"


def test_a_tone_and_silence_give_no_words(desk: Desk) -> None:
    silence = encode(4.0, sound="anullsrc=r=48000:cl=stereo,atrim=0:4")
    for event, tracks in (("tone", encode(4.0)), ("quiet", silence)):
        made = session(ProgramKey("p", event), OPENED, *tracks)
        made.upload(desk.store)
        result = desk.end(made)
        assert (result.assets, result.outputs["skipped"]) == ((), "nobody speaks")
