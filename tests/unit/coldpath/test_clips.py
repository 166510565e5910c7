"""The clip functions over a store in memory, with real media, live and after."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from coldpath.context import Ends, JobContext
from coldpath.errors import PermanentFailure, RetryLater
from coldpath.functions import clips
from coldpath.functions.registry import load
from coldpath.ledger import Ledger
from coldpath.records import JobResult
from infra.db.engine import sync_engine
from infra.jobs.clip_request import EXACT, INSTANT
from infra.jobs.filing import OwnKey, requested
from infra.keys import ProgramKey
from infra.storage.memory import MemoryObjectStore
from tests.support.databases import migrated_sqlite
from tests.support.session import EPOCH_NS, Session, Track, encode, session

KEY = ProgramKey("p", "e")
EPOCH_MS = EPOCH_NS // 1_000_000


def base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits


FIRST = base36(EPOCH_MS)
"""What a media node calls an incarnation that began at the epoch."""
LATER = base36(EPOCH_MS + 60_000)


@pytest.fixture
def store() -> MemoryObjectStore:
    return MemoryObjectStore()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    engine = sync_engine(migrated_sqlite(tmp_path))
    yield Ledger(engine)
    engine.dispose()


class Asking:
    """Runs clip functions as a worker does."""

    def __init__(self, ledger: Ledger, store: MemoryObjectStore, folder: Path) -> None:
        self._ledger = ledger
        self._store = store
        self._folder = folder

    def __call__(
        self, function: str, start: float, end: float, *, attempt: int = 1, **params: Any
    ) -> JobResult:
        """From `start` to `end`, seconds from the epoch unless `clock` says otherwise."""
        origin = 0 if params.get("clock") == "recording" else EPOCH_MS
        said = {
            "start_ms": origin + round(start * 1000),
            "end_ms": origin + round(end * 1000),
            **params,
        }
        return self.raw(function, said, attempt)

    def raw(self, function: str, said: dict[str, Any], attempt: int = 1) -> JobResult:
        bound = load().get(function)
        assert bound is not None
        request = requested(
            function, KEY, said,
            queue="fast", max_attempts=99, timeout_s=60, apart=OwnKey("test", str(attempt)),
        )  # fmt: skip
        self._ledger.file([request])
        lease = self._ledger.lease(request.id, "w/1")
        for number in range(2, attempt + 1):
            lease = self._ledger.lease(request.id, f"w/{number}", dead_owner=f"w/{number - 1}")
        assert lease is not None
        return bound.run(
            JobContext(lease, self._ledger, self._store, self._folder, Ends(threading.Event()))
        )


@pytest.fixture
def ask(ledger: Ledger, store: MemoryObjectStore, tmp_path: Path) -> Asking:
    return Asking(ledger, store, tmp_path)


def tracks() -> tuple[Track, Track]:
    return encode(6.0, bframes=0, gop=25)


def recorded(incarnation: str = FIRST, **changes: Any) -> Session:
    return session(KEY, incarnation, *tracks(), **changes)


def live(made: Session, store: MemoryObjectStore, *, without: tuple[str, ...] = ()) -> None:
    """Uploads segments and no manifest."""
    for key, data in made.objects.items():
        if not key.endswith(without or "-") and store.head(key) is None:
            store.put(key, data, "video/mp4")


def test_an_instant_clip_is_a_playlist_of_the_segments_that_show_it(
    ask: Asking, store: MemoryObjectStore
) -> None:
    recorded().upload(store)
    result = ask(INSTANT, 2.5, 3.5, title="Goal")
    (asset,) = result.assets
    assert (asset.kind, asset.content_type, asset.duration_ms) == (
        "clip", "application/vnd.apple.mpegurl", 1000,
    )  # fmt: skip
    assert asset.detail["title"] == "Goal"
    assert asset.detail["offset_s"] == 0.5
    assert asset.detail["start"] == "2023-11-14T22:13:22.500Z"
    folder = asset.key.rpartition("/")[0]
    assert "#EXT-X-START:TIME-OFFSET=0.500,PRECISE=YES" in store.get(asset.key).decode()
    video = store.get(f"{folder}/video.m3u8").decode()
    assert video.count("#EXTINF") == 1
    assert f"../../../../../live/p/e/main/{FIRST}/video/s1.m4s" in video
    assert result.outputs["keys"] == [asset.key]


def test_an_exact_clip_is_an_mp4_and_says_what_was_copied(
    ask: Asking, store: MemoryObjectStore
) -> None:
    recorded().upload(store)
    (asset,) = ask(EXACT, 1.4, 4.6, title="Goal").assets
    assert (asset.kind, asset.content_type, asset.duration_ms) == ("clip", "video/mp4", 3200)
    assert (asset.detail["frames"], asset.detail["copied"], asset.detail["encoded"]) == (80, 65, 15)
    assert asset.detail["reencoded_because"] is None
    stored = store.head(asset.key)
    assert stored is not None
    assert stored.bytes == asset.bytes


def test_a_rerun_gives_the_same(ask: Asking, store: MemoryObjectStore) -> None:
    recorded().upload(store)
    assert ask(EXACT, 1.4, 4.6) == ask(EXACT, 1.4, 4.6, attempt=2)


def test_seconds_of_the_recording_leave_gaps_out(ask: Asking, store: MemoryObjectStore) -> None:
    recorded(final=False).upload(store)
    recorded(LATER, start_s=60, first_msn=64, discontinuity_seq=1, previous=[FIRST]).upload(store)
    (asset,) = ask(EXACT, 5.0, 7.0, clock="recording").assets
    assert asset.detail["frames"] == 50
    assert asset.detail["end"] == "2023-11-14T22:14:21.000Z"
    (last,) = ask(EXACT, 11.0, 99.0, clock="recording").assets
    assert last.detail["frames"] == 25
    with pytest.raises(PermanentFailure, match="behind the end"):
        ask(EXACT, 12.5, 13, clock="recording")


class TestLive:
    """No manifest lies in the bucket."""

    @pytest.mark.parametrize("function", [INSTANT, EXACT])
    def test_a_clip_is_what_it_is_afterwards(
        self, ask: Asking, store: MemoryObjectStore, function: str
    ) -> None:
        whole = recorded()
        live(whole, store)
        during = ask(function, 1.4, 4.6)
        held = {key: store.get(key) for key in during.outputs["keys"]}
        whole.upload_manifest(store)
        afterwards = ask(function, 1.4, 4.6, attempt=2)
        assert during.outputs == afterwards.outputs
        assert held
        assert during.assets[0].detail == afterwards.assets[0].detail

    def test_the_clock_is_as_the_media_node_told_it(
        self, ask: Asking, store: MemoryObjectStore
    ) -> None:
        live(session(KEY, base36(EPOCH_MS + 90), *tracks()), store)
        told = ask(EXACT, 1.4, 4.6, epoch_ns=EPOCH_NS)
        assert told.assets[0].detail["encoded"] == 15
        # The name of the incarnation is some pictures late, so the clip begins earlier.
        assert ask(EXACT, 1.4, 4.6).assets[0].detail["encoded"] == 17

    def test_playlists_name_codecs_and_sizes(self, ask: Asking, store: MemoryObjectStore) -> None:
        live(recorded(), store)
        (asset,) = ask(INSTANT, 1.4, 4.6).assets
        text = store.get(asset.key).decode()
        assert 'CODECS="avc1.' in text
        assert "mp4a.40.2" in text
        assert "RESOLUTION=320x180" in text

    def test_an_end_that_is_not_there_yet_is_waited_for(
        self, ask: Asking, store: MemoryObjectStore
    ) -> None:
        live(recorded(), store, without=("/video/s2.m4s", "/audio/s2.m4s"))
        with pytest.raises(RetryLater, match="the end of the clip is not in the bucket yet"):
            ask(EXACT, 1.4, 4.6)
        # Nothing has come for so long that nothing will.
        (asset,) = ask(EXACT, 1.4, 4.6, attempt=clips.PATIENCE).assets
        assert asset.detail["frames"] == 65

    def test_sound_that_is_behind_is_waited_for(
        self, ask: Asking, store: MemoryObjectStore
    ) -> None:
        live(recorded(), store, without=("/audio/s2.m4s",))
        with pytest.raises(RetryLater, match="segments of audio are not in the bucket yet"):
            ask(INSTANT, 1.4, 4.6)

    def test_sound_that_was_left_out_is_not_waited_for(
        self, ask: Asking, store: MemoryObjectStore
    ) -> None:
        for number in range(3):
            gone = ("/audio/s1.m4s",)
            live(recorded(start_s=6.0 * number, first_msn=3 * number), store, without=gone)
        (asset,) = ask(INSTANT, 2.5, 4.5).assets
        assert b"EXT-X-GAP" in store.get(asset.key.replace("index", "audio"))

    def test_nothing_of_the_programme_is_waited_for(self, ask: Asking) -> None:
        with pytest.raises(RetryLater, match="nothing of p/e/main"):
            ask(INSTANT, 1.4, 4.6)

    def test_a_later_life_knows_the_clock_from_the_first(
        self, ask: Asking, store: MemoryObjectStore
    ) -> None:
        recorded(final=False).upload(store)
        live(recorded(LATER, start_s=60, first_msn=64, previous=[FIRST]), store)
        (asset,) = ask(EXACT, 61.4, 64.6).assets
        assert asset.detail["frames"] == 80
        (over,) = ask(EXACT, 5.0, 61.0).assets
        assert over.detail["frames"] == 50

    def test_a_publisher_who_left_may_come_back(
        self, ask: Asking, store: MemoryObjectStore
    ) -> None:
        recorded(final=False).upload(store)
        with pytest.raises(RetryLater, match="the end of the clip is not in the bucket yet"):
            ask(EXACT, 5.0, 61.0)

    def test_seconds_wait_for_the_recording(self, ask: Asking, store: MemoryObjectStore) -> None:
        live(recorded(), store)
        with pytest.raises(RetryLater, match="last manifest"):
            ask(INSTANT, 1, 2, clock="recording")

    def test_few_segments_are_read_of_many(
        self, ask: Asking, store: MemoryObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in range(30):
            part = recorded(start_s=6.0 * number, first_msn=3 * number)
            for key, data in part.objects.items():
                if number == 0 or key.endswith(".m4s"):
                    store.put(key, data, "video/mp4")
        read: list[str] = []
        get = store.get

        def counting(key: str) -> bytes:
            read.append(key)
            return get(key)

        monkeypatch.setattr(store, "get", counting)
        ask(INSTANT, 91.0, 92.5)
        assert len([key for key in read if key.endswith(".m4s")]) < 25


@pytest.mark.parametrize("said", [{}, {"start_ms": 5, "end_ms": 5}, {"start_ms": "x", "end_ms": 7}])
def test_parameters_that_make_no_clip(
    ask: Asking, store: MemoryObjectStore, said: dict[str, Any]
) -> None:
    recorded().upload(store)
    with pytest.raises(PermanentFailure, match="no clip can be made of these parameters"):
        ask.raw(INSTANT, said)


def test_a_stretch_of_which_nothing_was_recorded(ask: Asking, store: MemoryObjectStore) -> None:
    recorded().upload(store)
    with pytest.raises(PermanentFailure, match="nothing was recorded between 2023-11-14T22:13:30"):
        ask(EXACT, 10, 11)


def test_a_change_of_format_divides_clips(ask: Asking, store: MemoryObjectStore) -> None:
    recorded(final=False).upload(store)
    other = session(
        KEY, LATER, *encode(2.0, size="160x90"), start_s=60, first_msn=64, previous=[FIRST]
    )
    other.upload(store)
    with pytest.raises(PermanentFailure, match="changed its format within the clip"):
        ask(EXACT, 5, 61)
    # A playlist can say it.
    assert ask(INSTANT, 5, 61).assets


def test_the_mp4_of_a_live_clip_plays(
    ask: Asking, store: MemoryObjectStore, tmp_path: Path
) -> None:
    live(recorded(), store)
    (asset,) = ask(EXACT, 1.4, 4.6).assets
    store.download(asset.key, tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 80
