"""Captions while an event is live: each word is heard and told once, whatever the order."""

from typing import Any

import pytest

from coldpath.functions import captions
from coldpath.media.live import NotYet
from infra.errors import BusUnavailable
from infra.events.captions import HeardWindow
from infra.keys import SegmentKey
from tests.support.beeps import (
    FIRST,
    FIRST_MS,
    KEY,
    NEAR_MS,
    Ear,
    Job,
    arrive,
    assert_near,
    each_second,
    recorded,
    times,
)
from tests.support.functions import CountingStore


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
