"""How long media can be had, and that HTTP says so: draft-pantos-hls-rfc8216bis 6.2.2."""

from email.utils import parsedate_to_datetime

import pytest

from hotpath.media.unit import VIDEO
from tests.support.made_up import LIVE, START_NS, MadeUp, Response, S

PART, SEGMENT = LIVE + "k1/video/s0.3.m4s", LIVE + "k1/video/s0.m4s"


def expires_ms(response: Response) -> int:
    """On the clock of the test."""
    moment = parsedate_to_datetime(response.headers["expires"])
    return int(moment.timestamp() - START_NS // S) * 1000


@pytest.mark.parametrize("url", [PART, SEGMENT])
async def test_a_file_is_there_for_as_long_as_it_was_said(url: str) -> None:
    programme = MadeUp((VIDEO,))
    promised_ms, gone_ms = 0, None
    for msn in range(40):
        programme.segment(msn, (VIDEO,))
        response = await programme.ask(url)
        if response.status != 200:
            gone_ms = gone_ms or programme.now_ms
            continue
        assert gone_ms is None
        public, age, immutable = response.headers["cache-control"].split(", ")
        assert (public, immutable) == ("public", "immutable")
        age_s = int(age.removeprefix("max-age="))
        expires = expires_ms(response)
        assert abs(programme.now_ms + age_s * 1000 - expires) < 1000
        promised_ms = max(promised_ms, expires)
    assert gone_ms is not None
    assert gone_ms >= promised_ms


async def test_a_part_can_be_had_for_three_target_durations_after_its_tag() -> None:
    programme, dropped_ms = MadeUp((VIDEO,)), None
    for msn in range(20):
        programme.segment(msn, (VIDEO,))
        listed = [p for s in (await programme.found(VIDEO)).segments if s.msn == 0 for p in s.parts]
        if not listed:
            dropped_ms = dropped_ms or programme.now_ms
        if dropped_ms is None or programme.now_ms < dropped_ms + 6000:
            assert (await programme.ask(PART)).status == 200
    assert dropped_ms is not None
    assert dropped_ms <= 10_000, "greater than three target durations from the end"


async def test_a_segment_can_be_had_for_its_availability_duration() -> None:
    """Until it first appeared + its duration + the longest playlist that listed it."""
    programme, longest_ms, first_ms = MadeUp((VIDEO,)), 0, 2000
    for msn in range(40):
        programme.segment(msn, (VIDEO,))
        segments = (await programme.found(VIDEO)).segments
        if segments[0].msn == 0:
            longest_ms = max(longest_ms, int(sum(s.duration or 0 for s in segments) * 1000))
            assert (await programme.ask(SEGMENT)).status == 200
        elif programme.now_ms < first_ms + 2000 + longest_ms:
            assert (await programme.ask(SEGMENT)).status == 200


async def test_segments_go_in_order_and_leave_three_target_durations() -> None:
    programme, first = MadeUp((VIDEO,)), 0
    for msn in range(40):
        programme.segment(msn, (VIDEO,))
        found = await programme.found(VIDEO)
        assert found.segments[0].msn - first in (0, 1)
        first = found.segments[0].msn
        assert first == 0 or sum(s.duration or 0 for s in found.segments) >= 6
        assert "#EXT-X-PLAYLIST-TYPE" not in found.tags
    assert first > 0


async def test_an_init_section_stays_and_keeps_its_age() -> None:
    programme = MadeUp((VIDEO,))
    for msn in range(60):
        programme.segment(msn, (VIDEO,))
    response = await programme.ask(LIVE + "k1/video/init-0.mp4")
    assert response.headers["cache-control"] == "public, max-age=40, immutable"
    assert expires_ms(response) == programme.now_ms + 40_000


@pytest.mark.parametrize("final", [True, False])
async def test_parts_of_the_end_can_be_had_until_they_are_listed_no_more(final: bool) -> None:
    """And HTTP says until when all the while."""
    programme = MadeUp((VIDEO,))
    for msn in range(12):
        programme.segment(msn, (VIDEO,))
    programme.part(VIDEO, 12, 0)  # of a segment that does not come to its end
    ended_ms = programme.now_ms
    programme.live.end(final=final)
    listed = LIVE + "k1/video/s11.9.m4s"
    promised_ms = expires_ms(await programme.ask(listed))
    assert promised_ms >= ended_ms + 40_000
    unlisted_ms = None
    while (due_ms := programme.live.next_deadline()) is not None:
        programme.now_ms = due_ms - 1
        assert abs(expires_ms(await programme.ask(listed)) - promised_ms) <= 1000
        programme.now_ms = due_ms
        programme.live.expire(due_ms)
        found = await programme.found(VIDEO)
        assert found.segments[-1].msn >= 11
        if not any(segment.parts for segment in found.segments):
            unlisted_ms = unlisted_ms or due_ms
    assert unlisted_ms is not None
    assert unlisted_ms + 6000 <= programme.now_ms
    assert programme.now_ms < ended_ms + programme.live.linger_s * 1000
    for part in (listed, LIVE + "k1/video/s12.0.m4s"):
        assert (await programme.ask(part)).status == 404
