"""The captions of what was recorded, over a store in memory. The model has its turn in the
integration tests."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from coldpath.errors import Interrupted, PermanentFailure
from coldpath.media import speech
from infra.events.captions import HeardWindow
from infra.keys import SegmentKey
from tests.support.beeps import (
    FIRST,
    FIRST_MS,
    KEY,
    NEAR_MS,
    Ear,
    Job,
    assert_near,
    beeps,
    changing,
    each_second,
    long,
    recorded,
    replace_segments,
    times,
)
from tests.support.functions import CountingStore
from tests.support.session import encode, session


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
