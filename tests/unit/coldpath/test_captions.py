"""The captions functions over a store in memory: real sound, and a stand-in for the model that
hears beeps, so that every time can be checked. The model has its turn in the integration tests."""

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coldpath.errors import Interrupted, PermanentFailure
from coldpath.functions import captions
from coldpath.ledger import Ledger
from coldpath.media import speech
from coldpath.media.live import NotYet
from coldpath.media.words import Word
from coldpath.records import JobResult
from infra.errors import BusUnavailable
from infra.events.captions import HeardWindow
from infra.keys import ProgramKey, SegmentKey, parse
from tests.support.functions import CountingStore, attempt
from tests.support.session import Session, Track, encode, session

KEY = ProgramKey("p", "e")
BEEPS = "aevalsrc='0.5*sin(2*PI*440*t)*between(mod(t,1),0.3,0.5)':s=48000:d={}"
"""One each second, from 0.3 s to 0.5 s."""
NEAR_MS = 60
FIRST_MS = 1_700_000_000_000
FIRST = np.base_repr(FIRST_MS, 36).lower()
"""An incarnation's name: when it was opened."""


class Ear:
    """Hears beeps."""

    def __init__(self) -> None:
        self.windows: list[float] = []
        """Seconds that were heard."""
        self.language = "en"

    def hear(self, pcm: Any, language: str = "") -> speech.Heard:
        self.windows.append(len(pcm) / 16_000)
        loud = np.abs(pcm[: len(pcm) // 160 * 160]).reshape(-1, 160).max(axis=1) > 0.1
        edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
        words = [Word("beep", int(a) * 10, int(b) * 10) for a, b in edges.reshape(-1, 2)]
        return speech.Heard(tuple(words), language or self.language)


@pytest.fixture(autouse=True)
def ear(monkeypatch: pytest.MonkeyPatch) -> Ear:
    made = Ear()
    monkeypatch.setattr(speech, "model_folder", lambda _: Path("/models/beeps"))
    monkeypatch.setattr(speech, "voice", lambda *named: f"beeps-{named}")
    monkeypatch.setattr(speech, "transcriber", lambda *_: made)
    return made


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> list[HeardWindow]:
    windows: list[HeardWindow] = []
    monkeypatch.setattr(captions, "announce", lambda _, window: windows.append(window))
    return windows


class Job:
    """Runs attempts."""

    def __init__(self, ledger: Ledger, store: CountingStore, folder: Path) -> None:
        self._where = ledger, store
        self._folder = folder

    def live(self, msn: int, incarnation: str = FIRST, **named: bool) -> JobResult:
        key = SegmentKey(KEY, incarnation, "audio", msn)
        return attempt("captions-live", *self._where, str(key), self._folder, **named)

    def end(self, whole: Session, **named: bool) -> JobResult:
        return attempt("captions", *self._where, whole.manifest_key, self._folder, **named)


@pytest.fixture
def job(ledger: Ledger, store: CountingStore, tmp_path: Path) -> Job:
    return Job(ledger, store, tmp_path)


def beeps(seconds: float) -> tuple[Track, Track]:
    return encode(seconds, size="160x90", sound=BEEPS.format(seconds))


def recorded(seconds: float = 16.0, incarnation: str = FIRST, **named: Any) -> Session:
    return session(KEY, incarnation, *beeps(seconds), **named)


def long(**named: Any) -> Session:
    """40 s: five windows."""
    tracks = encode(40.0, size="160x90", fps=5, gop=10, sound=BEEPS.format(40.0))
    return session(KEY, FIRST, *tracks, **named)


def arrive(store: CountingStore, whole: Session, until: int = 99) -> None:
    """What is in the bucket when that segment is."""
    for key, data in whole.objects.items():
        segment = parse(key)
        if not isinstance(segment, SegmentKey) or segment.msn <= until:
            store.put(key, data, "video/mp4")


def times(store: CountingStore, result: JobResult) -> list[int]:
    (key,) = (asset.key for asset in result.assets if asset.kind == "words")
    return [word["from_ms"] for word in json.loads(store.get(key))["words"]]


def assert_near(found: list[int], wanted: list[int]) -> None:
    assert len(found) == len(wanted), found
    assert all(abs(a - b) <= NEAR_MS for a, b in zip(found, wanted, strict=True)), found


def each_second(start_ms: int, seconds: int) -> list[int]:
    return [start_ms + n * 1_000 + 300 for n in range(seconds)]


class TestLive:
    def test_what_was_heard_live_is_not_heard_again(
        self, job: Job, store: CountingStore, ear: Ear
    ) -> None:
        whole = recorded()
        arrive(store, whole)
        assert job.live(3).outputs["words"] == 8
        assert len(ear.windows) == 1
        whole.upload_manifest(store)
        result = job.end(whole)
        assert result.outputs["heard_now"] == 1
        assert [round(seconds) for seconds in ear.windows] == [8, 12]
        assert_near(times(store, result), each_second(0, 16))

    def test_each_beep_is_told_once_whatever_the_order(
        self, job: Job, store: CountingStore, ear: Ear, told: list[HeardWindow]
    ) -> None:
        arrive(store, recorded(start_s=7.0))
        for msn in (7, 3, 7):
            job.live(msn)
        assert len(ear.windows) == 2
        late, early, again = told
        assert again == late
        assert early.until_ms == late.from_ms
        assert abs(early.from_ms - (FIRST_MS + 7_000)) <= NEAR_MS
        assert FIRST_MS + 21_000 < late.until_ms < FIRST_MS + 23_000
        assert (early.program, early.incarnation, early.language) == (KEY, FIRST, "en")
        for window in (early, late):
            starts = [cue.start_ms for cue in window.cues]
            assert starts[0] >= window.from_ms
        words = sum(len(cue.text.split()) for window in (early, late) for cue in window.cues)
        heard = (late.until_ms - FIRST_MS - 7_000 + 600) // 1_000
        assert words == heard

    def test_a_bus_that_is_away_stops_nothing(
        self, job: Job, store: CountingStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_: Any) -> None:
            raise BusUnavailable("away")

        monkeypatch.setattr(captions, "announce", away)
        arrive(store, recorded())
        result = job.live(3)
        assert not result.outputs["told"]
        assert store.head(result.outputs["keys"][0]) is not None

    def test_a_segment_that_is_on_its_way_is_waited_for(
        self, job: Job, store: CountingStore, ear: Ear
    ) -> None:
        whole = recorded()
        late = str(SegmentKey(KEY, FIRST, "audio", 2))
        data = whole.objects.pop(late)
        arrive(store, whole, 3)
        with pytest.raises(NotYet, match="segment 2"):
            job.live(3)
        assert ear.windows == []
        store.put(late, data, "video/mp4")
        assert job.live(3).outputs["words"] == 8

    def test_one_that_was_never_recorded_is_not(
        self, job: Job, store: CountingStore, ear: Ear
    ) -> None:
        whole = recorded(drop={"audio": {0}})
        arrive(store, whole)
        assert job.live(3).outputs["words"] == 6
        whole.upload_manifest(store)
        result = job.end(whole)
        assert result.outputs["heard_now"] == 1
        assert_near(times(store, result), each_second(2_000, 14))

    def test_patience_ends(
        self, job: Job, store: CountingStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(captions, "PATIENCE", 1)
        arrive(store, recorded(drop={"audio": {2}}), 3)
        assert job.live(3).outputs["words"] == 6

    def test_other_sounds_and_pictures_start_nothing(self, job: Job) -> None:
        for rendition, msn in (("audio-2", 3), ("video", 3), ("audio", 4)):
            assert not captions._ends_a_window(SegmentKey(KEY, FIRST, rendition, msn))


class TestWhole:
    def test_a_restart_keeps_times_on_the_event_s_timeline(
        self, job: Job, store: CountingStore, told: list[HeardWindow]
    ) -> None:
        second = np.base_repr(FIRST_MS + 29_000, 36).lower()
        first = recorded(4.0, final=False)
        rest = recorded(16.0, second, start_s=30.0, first_msn=92, previous=[FIRST])
        for each in (first, rest):
            each.upload(store)
        job.live(95, second)
        assert_near([told[0].cues[0].start_ms - FIRST_MS], [30_300])
        result = job.end(rest)
        assert_near(times(store, result), [*each_second(0, 4), *each_second(4_000, 16)])
        folder = result.assets[0].key.rpartition("/")[0]
        for number, start_s in ((0, 0), (1, 30)):
            text = store.get(f"{folder}/captions-{number}.vtt").decode()
            assert f"MPEGTS:{start_s * 90_000}\n" in text
            assert re.search(r"^00:00:00\.3\d\d --> ", text, re.MULTILINE)
        playlist = store.get(f"{folder}/captions.m3u8").decode()
        assert "captions-0.vtt\n#EXT-X-DISCONTINUITY\n" in playlist
        assert playlist.endswith("captions-1.vtt\n#EXT-X-ENDLIST\n")

    def test_so_does_a_publisher_that_comes_back(
        self, job: Job, store: CountingStore, told: list[HeardWindow]
    ) -> None:
        first = recorded(4.0)
        rest = recorded(4.0, start_s=500.0, first_msn=2, discontinuity_seq=1)
        both = tuple(
            replace_segments(a, b)
            for a, b in zip(first.manifest.renditions, rest.manifest.renditions, strict=True)
        )
        manifest = first.manifest.model_copy(update={"renditions": both})
        whole = replace(first, manifest=manifest, objects={**first.objects, **rest.objects})
        whole.upload(store)
        job.live(3)
        starts = [window.cues[0].start_ms - FIRST_MS for window in told]
        assert_near(starts, [300, 500_300])
        result = job.end(whole)
        assert_near(times(store, result), [*each_second(0, 4), *each_second(4_000, 4)])
        folder = result.assets[0].key.rpartition("/")[0]
        assert f"MPEGTS:{500 * 90_000}\n" in store.get(f"{folder}/captions-1.vtt").decode()

    def test_what_is_written_and_listed(self, job: Job, store: CountingStore, ear: Ear) -> None:
        ear.language = "pt"
        whole = recorded(4.0)
        whole.upload(store)
        result = job.end(whole)
        assert [(a.kind, a.key.rpartition("/")[2]) for a in result.assets] == [
            ("captions", "captions.vtt"),
            ("transcript", "transcript.txt"),
            ("words", "captions.json"),
        ]
        assert result.assets[0].detail == {
            "playlist": "index-captions.m3u8",
            "language": "pt",
        }
        assert store.puts[-1].endswith("/index-captions.m3u8")
        index = store.get(store.puts[-1]).decode()
        assert 'TYPE=SUBTITLES,GROUP-ID="captions"' in index
        assert 'LANGUAGE="pt"' in index
        assert re.search(r'STREAM-INF:.*,SUBTITLES="captions"\nvideo.m3u8\n', index)
        assert store.get(result.assets[1].key).decode() == "beep beep beep beep\n"

    def test_what_nobody_heard_live_is_heard_at_once(
        self, job: Job, store: CountingStore, ear: Ear
    ) -> None:
        whole = long()
        whole.upload(store)
        job.live(7)
        result = job.end(whole)
        assert [round(seconds) for seconds in ear.windows] == [12, 8, 28]
        assert result.outputs["heard_now"] == 4
        assert_near(times(store, result), each_second(0, 40))

    def test_and_is_there_for_those_who_come_late(
        self, job: Job, store: CountingStore, ear: Ear, told: list[HeardWindow]
    ) -> None:
        whole = long()
        whole.upload(store)
        job.end(whole)
        heard = len(ear.windows)
        for msn in (3, 7, 11, 15, 19):
            assert job.live(msn).outputs["words"] >= 8
        assert len(ear.windows) == heard
        assert all(a.until_ms == b.from_ms for a, b in pairwise(told))
        assert all(window.language == "en" for window in told)
        words = sum(len(cue.text.split()) for window in told for cue in window.cues)
        assert words == (told[-1].until_ms - FIRST_MS + 600) // 1_000

    def test_an_interrupted_one_goes_on(self, job: Job, store: CountingStore, ear: Ear) -> None:
        whole = long()
        whole.upload(store)
        with pytest.raises(Interrupted):
            job.end(whole, stops=True)
        assert [round(seconds) for seconds in ear.windows] == [24]
        assert len(times(store, job.end(whole))) == 40
        assert [round(seconds) for seconds in ear.windows] == [24, 20]

    def test_only_init_sections_that_are_needed_are_read(
        self, job: Job, store: CountingStore
    ) -> None:
        whole = changing(long(), msn=8)
        whole.upload(store)
        assert_near(times(store, job.end(whole)), each_second(0, 40))
        # Three windows that are heard at once play with both, the other two with the second.
        assert [store.gets.count(f"live/{KEY}/{FIRST}/audio/init-{n}.mp4") for n in (0, 1)] == [
            1,
            2,
        ]

    def test_damage_costs_what_is_damaged(self, job: Job, store: CountingStore) -> None:
        whole = recorded()
        cut_short = str(SegmentKey(KEY, FIRST, "audio", 1))
        whole.objects[cut_short] = b"\0" * 100
        noise = str(SegmentKey(KEY, FIRST, "audio", 3))
        kept = whole.objects[noise]
        at = kept.index(b"mdat") + 4
        end = at - 8 + int.from_bytes(kept[at - 8 : at - 4])
        whole.objects[noise] = kept[:at] + b"\xff" * (end - at) + kept[end:]
        whole.upload(store)
        found = times(store, job.end(whole))
        wanted = [300, 1_300, *each_second(4_000, 12)]
        assert all(any(abs(a - b) <= NEAR_MS for a in found) for b in wanted), found
        assert not any(2_100 <= at < 4_000 for at in found)

    def test_where_nobody_speaks_nothing_is_written(self, job: Job, store: CountingStore) -> None:
        silence = "anullsrc=r=48000:cl=stereo,atrim=0:4"
        whole = session(KEY, FIRST, *encode(4.0, size="160x90", sound=silence))
        whole.upload(store)
        result = job.end(whole)
        assert (result.assets, result.outputs["skipped"]) == ((), "nobody speaks")
        assert not [key for key in store.puts if key.startswith("vod/")]

    def test_a_picture_without_sound_has_none(self, job: Job, store: CountingStore) -> None:
        whole = session(KEY, FIRST, beeps(4.0)[0])
        whole.upload(store)
        assert "no sound" in job.end(whole).outputs["skipped"]


def test_without_the_extra_a_job_is_dead_and_says_why(
    job: Job, store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the stand-in
    monkeypatch.setattr(speech.importlib.util, "find_spec", lambda _: None)
    whole = recorded(4.0)
    whole.upload(store)
    with pytest.raises(PermanentFailure, match="pip install"):
        job.end(whole)


def changing(whole: Session, msn: int) -> Session:
    """With init sections of their own from that segment on."""
    objects = dict(whole.objects)
    for key in list(whole.objects):
        if key.endswith("/init-0.mp4"):
            objects[key.replace("init-0", "init-1")] = objects[key]
    renditions = tuple(
        rendition.model_copy(
            update={
                "inits": 2,
                "segments": tuple(
                    each.model_copy(update={"init": int(each.msn >= msn)})
                    for each in rendition.segments
                ),
            }
        )
        for rendition in whole.manifest.renditions
    )
    manifest = whole.manifest.model_copy(update={"renditions": renditions})
    return replace(whole, manifest=manifest, objects=objects)


def replace_segments(one: Any, other: Any) -> Any:
    return one.model_copy(update={"segments": (*one.segments, *other.segments)})
