"""What renditions of one programme have in common: draft-pantos-hls-rfc8216bis 6.2.4."""

import asyncio
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import pytest

from hotpath.hls.daterange import DateRange, DateRangeError
from hotpath.hls.events import PartReady, SegmentReady
from hotpath.hls.vault import Vault
from hotpath.media.unit import AUDIO, VIDEO
from infra.storage.memory import MemoryObjectStore
from tests.support import m3u8
from tests.support.made_up import FORMATS, START_NS, TRACKS, MadeUp, S

REPORT = "#EXT-X-RENDITION-REPORT"
FRAME_MS = Fraction(1024, 48)


def dates(found: m3u8.Playlist) -> list[str]:
    return found.tags.get("#EXT-X-DATERANGE", [])


def moment(id: str, second: int) -> DateRange:
    return DateRange(id, START_NS + second * S, duration_us=0)


def sound(programme: MadeUp, msn: int) -> None:
    """A segment of whole AAC frames, 1,984 or 2,005 ms: it ends with the one that the picture's
    segment ends in."""
    start, end = (-(-2000 * n // FRAME_MS) * FRAME_MS for n in (msn, msn + 1))
    parts = [200] * 9 + [round(end - start) - 1800]
    for number, length in enumerate(parts):
        programme.now_ms = msn * 2000 + (number + 1) * 200
        at = round(start) + number * 200
        pdt_ns = START_NS + round(start * 1_000_000)
        event = PartReady(
            FORMATS[AUDIO], 0, msn, number, (), (length,), at, True, 0, pdt_ns, number == 9
        )
        programme.live.part(event, b"sound")
    programme.live.segment(SegmentReady(FORMATS[AUDIO], msn, round(start), round(end - start)))


@pytest.mark.parametrize("dvr_window_s", [0, 120])
@pytest.mark.parametrize("sound_first", [[True], [False], [True, False, False, True]])
async def test_all_begin_with_the_same_segment_at_any_moment(
    sound_first: list[bool], dvr_window_s: int, tmp_path: Path
) -> None:
    with closing(Vault(tmp_path, MemoryObjectStore)) as vault:
        programme = MadeUp(dvr_window_s=dvr_window_s, vault=vault)
        window = max(dvr_window_s // 2, 20)
        begins: dict[str, int] = {}
        for msn in range(3 * window):
            tracks = (AUDIO, VIDEO) if sound_first[msn % len(sound_first)] else (VIDEO, AUDIO)
            for track in tracks:
                if track == AUDIO:
                    sound(programme, msn)
                else:
                    programme.segment(msn, (VIDEO,))
                if not msn:
                    continue  # nothing is served until both are there
                found = [await programme.found(each) for each in TRACKS]
                begins = {each.segments[0].msn for each in found if each.segments}
                assert len(begins) == 1
        assert begins.pop() > window


async def test_every_rendition_has_the_same_date_ranges() -> None:
    programme = MadeUp()
    programme.live.set_date_range(moment("early", 1))
    programme.segment(0)
    programme.live.set_date_range(moment("later", 3))
    one, other = [dates(await programme.found(track)) for track in TRACKS]
    assert one == other
    assert [m3u8.attributes(each)["ID"] for each in one] == ["early", "later"]


async def test_they_leave_every_rendition_together() -> None:
    programme = MadeUp()
    programme.live.set_date_range(moment("early", 1))
    seen = set()
    for msn in range(14):
        for track in TRACKS:
            programme.segment(msn, (track,))
            if msn:
                one, other = [await programme.found(each) for each in TRACKS]
                assert dates(one) == dates(other)
                first_ns = min(each.segments[0].msn for each in (one, other)) * 2 * S
                assert bool(dates(one)) == (first_ns <= S)
                seen.add(bool(dates(one)))
    assert seen == {True, False}


async def test_a_rendition_that_comes_late_has_them_too() -> None:
    programme = MadeUp((VIDEO,))
    programme.live.set_date_range(moment("a", 1))
    programme.segment(0, (VIDEO,))
    programme.init(AUDIO)
    programme.segment(1)
    assert dates(await programme.found(AUDIO)) == dates(await programme.found(VIDEO)) != []


async def test_a_new_one_is_in_the_next_blocking_reload() -> None:
    programme = MadeUp()
    programme.segment(0)
    programme.segment(1, (AUDIO,))
    reload = asyncio.ensure_future(programme.found(VIDEO, "_HLS_msn=1&_HLS_part=0"))
    while not programme.origin.waiting:
        await asyncio.sleep(0)
    programme.live.set_date_range(moment("a", 3))
    programme.part(VIDEO, 1, 0)
    assert [m3u8.attributes(each)["ID"] for each in dates(await reload)] == ["a"]


async def test_what_was_served_before_it_is_not_served_after_it() -> None:
    programme = MadeUp()
    programme.segment(0)
    assert dates(await programme.found(VIDEO)) == []
    programme.live.set_date_range(moment("a", 1))
    assert len(dates(await programme.found(VIDEO))) == 1


async def test_a_v2_update_changes_with_time_alone() -> None:
    programme = MadeUp()
    programme.live.set_date_range(moment("a", 3600))
    for msn in range(12):
        programme.segment(msn)
    programme.live.set_date_range(moment("b", 3600))
    query = "_HLS_skip=v2"
    assert [m3u8.attributes(d)["ID"] for d in dates(await programme.found(VIDEO, query))] == ["b"]
    assert len(dates(await programme.found(VIDEO, "_HLS_skip=YES"))) == 2
    programme.now_ms += 12_001
    assert dates(await programme.found(VIDEO, query)) == []


async def test_nothing_is_announced_after_the_end() -> None:
    programme = MadeUp()
    programme.segment(0)
    programme.live.end(final=True)
    with pytest.raises(DateRangeError, match="after the end"):
        programme.live.set_date_range(moment("a", 1))


async def test_parameters_and_clocks_agree() -> None:
    programme = MadeUp()
    for msn in range(8):
        programme.segment(msn)
    one, other = [await programme.found(track) for track in TRACKS]
    for tag in ("#EXT-X-TARGETDURATION", "#EXT-X-SERVER-CONTROL", "#EXT-X-PART-INF"):
        assert one.only(tag) == other.only(tag)
    of_both = [[(s.msn, s.date, s.discontinuity) for s in each.segments] for each in (one, other)]
    assert of_both[0] == of_both[1]


async def test_a_rendition_without_media_keeps_its_numbers_by_gaps() -> None:
    programme = MadeUp()
    programme.segment(0)
    programme.segment(1, (VIDEO,))
    programme.gap(AUDIO, 1)
    programme.segment(2)
    found = await programme.found(AUDIO)
    assert [(s.msn, s.gap) for s in found.segments] == [(0, False), (1, True), (2, False)]


async def test_each_rendition_reports_how_far_the_others_are_at_any_moment() -> None:
    """4.4.5.4 and appendix B.1: one report for each other rendition, as up to date as itself."""
    programme = MadeUp()
    programme.segment(0)
    for part in range(10):
        programme.part(VIDEO, 1, part)
        report = m3u8.attributes((await programme.found(AUDIO)).only(REPORT))
        assert report == {"URI": "video.m3u8", "LAST-MSN": "1", "LAST-PART": str(part)}
    report = m3u8.attributes((await programme.found(VIDEO)).only(REPORT))
    assert report == {"URI": "audio.m3u8", "LAST-MSN": "0", "LAST-PART": "9"}
