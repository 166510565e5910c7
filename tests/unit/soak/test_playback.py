"""What a light player takes from playlists, and when its picture stands still."""

import gzip
from collections.abc import Sequence

import pytest

from tests.soak.playback import Following, ListedPart, Listing, Listings, Playhead, parse

MS = 1000
DAY_US = 1_700_000_000_000_000
HEAD = """#EXTM3U
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.6,HOLD-BACK=6
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.000Z
#EXTINF:2.000000,
s7.m4s
#EXT-X-PART:DURATION=0.2,URI="s8.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.2,URI="s8.1.m4s"
#EXT-X-PART:DURATION=0.2,URI="s8.2.m4s",GAP=YES
#EXTINF:0.600000,
s8.m4s
#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:23.000Z
#EXT-X-PART:DURATION=0.2,URI="s9.0.m4s",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="s9.1.m4s"
"""


def test_parts_have_their_place_on_the_timeline() -> None:
    found = parse(HEAD.encode())
    assert [(part.at, part.uri, part.begin_us - DAY_US) for part in found.parts] == [
        ((8, 0), b"s8.0.m4s", 2000 * MS),
        ((8, 1), b"s8.1.m4s", 2200 * MS),
        ((8, 2), b"s8.2.m4s", 2400 * MS),
        ((9, 0), b"s9.0.m4s", 3000 * MS),
    ]
    assert [part.gap for part in found.parts] == [False, False, True, False]
    assert found.next == (9, 1)
    assert found.hold_back_us == 600 * MS
    assert found.end_us - DAY_US == 3200 * MS
    assert not found.ended
    assert parse(HEAD.encode() + b"#EXT-X-ENDLIST\n").ended


def test_a_text_that_many_get_is_read_once() -> None:
    listings = Listings()
    body = gzip.compress(HEAD.encode())
    assert listings.parsed(body) is listings.parsed(body)
    assert listings.parsed(HEAD.encode()) == listings.parsed(body)


def part(msn: int, number: int, *, independent: bool = False, gap: bool = False) -> ListedPart:
    begin = DAY_US + (msn * 3 + number) * 200 * MS
    uri = b"s%d.%d.m4s" % (msn, number)
    return ListedPart((msn, number), uri, begin, begin + 200 * MS, independent, gap)


def listing(first: tuple[int, int], last: tuple[int, int]) -> Listing:
    """Three parts a segment, of which the first is independent."""
    every = [
        part(msn, n, independent=n == 0) for msn in range(first[0], last[0] + 1) for n in (0, 1, 2)
    ]
    next = (last[0], last[1] + 1) if last[1] < 2 else (last[0] + 1, 0)
    return Listing(next, tuple(p for p in every if first <= p.at <= last), 400 * MS, ended=False)


def places(parts: Sequence[ListedPart]) -> list[tuple[int, int]]:
    return [part.at for part in parts]


def test_a_player_begins_at_the_hold_back_and_takes_each_part_once() -> None:
    following = Following("video")
    assert places(following.receive(listing((5, 0), (6, 2)))) == [(6, 0), (6, 1), (6, 2)]
    assert following.start_us == part(6, 2).end_us - 400 * MS
    assert following.next == (7, 0)
    assert places(following.receive(listing((5, 0), (7, 1)))) == [(7, 0), (7, 1)]
    assert following.receive(listing((5, 0), (7, 1))) == []
    # The segment ended with fewer parts than could be.
    assert places(following.receive(listing((6, 0), (8, 0)))) == [(7, 2), (8, 0)]
    assert following.missed == 0


def test_sound_begins_earlier() -> None:
    following = Following("audio", back_us=400 * MS)
    assert places(following.receive(listing((5, 0), (6, 2))))[0] == (5, 0)


def test_parts_that_went_before_they_were_taken_are_counted() -> None:
    following = Following("video", next=(6, 1))
    assert places(following.receive(listing((8, 1), (8, 2)))) == [(8, 1), (8, 2)]
    assert following.missed == 1


def test_parts_that_are_listed_as_lost_are_not_fetched() -> None:
    following = Following("video", next=(6, 0))
    lost = Listing((6, 2), (part(6, 0), part(6, 1, gap=True)), 0, ended=False)
    assert places(following.receive(lost)) == [(6, 0)]
    assert (following.next, following.gaps, following.missed) == ((6, 2), 1, 0)


def test_another_rendition_begins_with_a_segment() -> None:
    following = Following("360p", next=(6, 1))
    following.wanted = "240p"
    assert places(following.receive(listing((6, 0), (6, 1)))) == [(6, 1)]
    assert following.rendition == "360p"
    # What the old one lists of the next segment is left to the new one.
    assert places(following.receive(listing((6, 0), (7, 0)))) == [(6, 2)]
    assert (following.rendition, following.wanted, following.next) == ("240p", None, (7, 0))
    assert places(following.receive(listing((6, 0), (7, 1)))) == [(7, 0), (7, 1)]
    assert following.missed == 0


def test_playback_begins_when_every_track_is_there() -> None:
    playhead = Playhead(("video", "audio"), start_us=part(6, 1).begin_us)
    for number in (0, 1):
        playhead.receive("video", part(6, number), DAY_US)
    assert not playhead.playing
    playhead.receive("audio", part(6, 0), DAY_US)
    assert not playhead.playing
    playhead.receive("audio", part(6, 1), DAY_US)
    assert playhead.playing


def play(*arrivals: tuple[int, int]) -> Playhead:
    """(part of segment 0, ms at which it came): playback begins with the first."""
    playhead = Playhead(("video",), start_us=part(0, 0).begin_us)
    for number, ms in arrivals:
        playhead.receive("video", part(0, number), DAY_US + ms * MS)
    return playhead


@pytest.mark.parametrize(
    ("arrivals", "stalls", "stalled_ms"),
    [
        (((0, 0), (1, 100), (2, 300), (3, 500)), 0, 0),
        (((0, 0), (1, 200), (2, 400)), 0, 0),
        (((0, 0), (1, 250), (2, 400)), 1, 50),
        # What came after a stall is that much later, so the same delay is none any more.
        (((0, 0), (1, 250), (2, 450), (3, 650)), 1, 50),
        (((0, 0), (1, 250), (2, 500)), 2, 100),
    ],
)
def test_a_part_that_comes_when_all_before_is_shown_is_a_stall(
    arrivals: tuple[tuple[int, int], ...], stalls: int, stalled_ms: int
) -> None:
    playhead = play(*arrivals)
    assert (playhead.stalls, playhead.stalled_us) == (stalls, stalled_ms * MS)


def test_a_track_that_is_ahead_does_not_hide_one_that_is_late() -> None:
    playhead = Playhead(("video", "audio"), start_us=part(0, 0).begin_us)
    for number in range(3):
        playhead.receive("audio", part(0, number), DAY_US)
    playhead.receive("video", part(0, 0), DAY_US)
    playhead.receive("video", part(0, 1), DAY_US + 300 * MS)
    assert (playhead.stalls, playhead.stalled_us) == (1, 100 * MS)
