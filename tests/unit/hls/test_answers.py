"""What is kept of answers for a crowd: one for all while nothing changes, and never longer."""

import asyncio

from hotpath.hls.answers import KEPT, Blocked
from hotpath.hls.reply import Reply
from hotpath.hls.waiting import Outcome
from hotpath.media.unit import AUDIO, VIDEO
from tests.support import m3u8
from tests.support.made_up import MadeUp

LIST = "video.m3u8"
PART = "k1/video/s0.3.m4s"


def programme() -> MadeUp:
    made_up = MadeUp()
    made_up.segment(0)
    return made_up


def replied(made_up: MadeUp, query: str = "") -> Reply:
    answer = made_up.live.answer(LIST, query)
    assert isinstance(answer, Reply)
    return answer


def newest(reply: Reply) -> tuple[int, int]:
    found = m3u8.parse(reply.body.decode())
    return found.open.msn, len(found.open.parts)


def test_a_crowd_gets_one_answer_until_something_changes() -> None:
    made_up = programme()
    made_up.part(VIDEO, 1, 0)
    first = replied(made_up)
    assert replied(made_up) is first
    made_up.part(VIDEO, 1, 1)
    assert newest(replied(made_up)) == (1, 2)
    # A sibling that moves changes the rendition report.
    second = replied(made_up)
    made_up.part(AUDIO, 1, 0)
    assert replied(made_up).body != second.body


def test_what_was_waited_for_is_not_waited_for_again() -> None:
    made_up = programme()
    query = "_HLS_msn=1&_HLS_part=0"
    waits = made_up.live.answer(LIST, query)
    assert isinstance(waits, Blocked)
    assert made_up.live.answer(LIST, query) is waits
    for outcome in (Outcome.EXPIRED, Outcome.FULL):
        late = made_up.live.answer(LIST, query, outcome)
        assert isinstance(late, Reply)
        assert late.status == 503
    made_up.part(VIDEO, 1, 0)
    assert newest(replied(made_up, query)) == (1, 1)


def test_nobody_waits_after_the_stop() -> None:
    made_up = programme()
    query = "_HLS_msn=1&_HLS_part=0"
    assert isinstance(made_up.live.answer(LIST, query), Blocked)
    made_up.live.release_all()
    assert replied(made_up, query).status == 503


async def test_the_end_changes_the_answer() -> None:
    made_up = programme()
    assert not m3u8.parse(replied(made_up).body.decode()).ended
    made_up.live.end(final=True)
    assert m3u8.parse(replied(made_up).body.decode()).ended
    await asyncio.sleep(0)


def test_queries_without_number_are_answered_and_not_all_kept() -> None:
    made_up = programme()
    for number in range(2 * KEPT):
        assert replied(made_up, f"session={number}").status == 200
    assert made_up.live._lists.kept == KEPT


def test_who_asks_for_a_file_within_a_second_gets_the_same_reply() -> None:
    made_up = programme()
    first, second = made_up.live.files.held(PART), made_up.live.files.held(PART)
    assert first is second
    assert first is not None
    made_up.now_ms += 1000
    later = made_up.live.files.held(PART)
    assert later is not None
    age = int(first.cache_control.partition(b"max-age=")[2].partition(b",")[0])
    assert b"max-age=%d," % (age - 1) in later.cache_control
    assert later.expires == first.expires  # the moment is the same


def test_a_removal_that_comes_nearer_is_told() -> None:
    made_up = programme()
    first = made_up.live.files.held(PART)
    for msn in range(1, 5):
        made_up.segment(msn)
    second = made_up.live.files.held(PART)
    assert first is not None
    assert second is not None
    assert first.expires != second.expires
