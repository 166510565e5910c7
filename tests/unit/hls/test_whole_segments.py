"""When a segment is listed as a whole: with what follows the last part that ended it.

hls.js 1.7 takes a segment of which at most 0.2 s are missing for buffered. Told of its end while
the part before the last is being appended, it never loads the last one, and playback stops there.
"""

import asyncio

from hotpath.hls.events import SegmentReady
from hotpath.media.unit import AUDIO
from tests.support.made_up import FORMATS, LIVE, MadeUp


def ended(programme: MadeUp, msn: int) -> None:
    """The segment's end was decided before its last part was complete."""
    for part in range(10):
        programme.part(AUDIO, msn, part, last=part == 9)
    programme.live.segment(SegmentReady(FORMATS[AUDIO], msn, msn * 2000, 2000))


async def test_the_last_part_comes_alone_and_its_segment_with_the_next_part() -> None:
    programme = MadeUp((AUDIO,))
    ended(programme, 0)
    ended(programme, 1)
    found = await programme.found(AUDIO, "_HLS_msn=1&_HLS_part=9")
    assert [segment.msn for segment in found.segments] == [0]
    assert found.open.parts[-1].uri.endswith("s1.9.m4s")
    assert "s2.0.m4s" in found.only("#EXT-X-PRELOAD-HINT")
    programme.part(AUDIO, 2, 0)
    assert [segment.msn for segment in (await programme.found(AUDIO)).segments] == [0, 1]


async def test_who_waits_for_the_whole_segment_gets_it() -> None:
    programme = MadeUp((AUDIO,))
    ended(programme, 0)
    waiting = asyncio.create_task(programme.found(AUDIO, "_HLS_msn=1"))
    ended(programme, 1)
    await asyncio.sleep(0)
    assert not waiting.done()
    programme.part(AUDIO, 2, 0)
    assert [segment.msn for segment in (await waiting).segments] == [0, 1]


async def test_players_can_start_with_the_first_segment_at_once() -> None:
    programme = MadeUp((AUDIO,))
    ended(programme, 0)
    assert [segment.msn for segment in (await programme.found(AUDIO)).segments] == [0]


async def test_nothing_is_held_back_at_a_gap_or_at_the_end() -> None:
    programme = MadeUp((AUDIO,))
    ended(programme, 0)
    ended(programme, 1)
    programme.gap(AUDIO, 2)
    assert [segment.msn for segment in (await programme.found(AUDIO)).segments] == [0, 1, 2]
    ended(programme, 3)
    programme.live.end(final=True)
    found = await programme.found(AUDIO)
    assert [segment.msn for segment in found.segments] == [0, 1, 2, 3]


async def test_the_file_of_the_segment_is_there_at_once() -> None:
    programme = MadeUp((AUDIO,))
    ended(programme, 0)
    ended(programme, 1)
    prefix = f"{LIVE}{programme.live.incarnation}/{AUDIO}/"
    assert (await programme.ask(f"{prefix}s1.m4s")).status == 200
