"""Playlists that list hours: the same rules as for short ones, and no work that grows with them."""

import gzip
from datetime import datetime

from hotpath.hls.listing import Place
from hotpath.hls.older import CHUNK
from hotpath.hls.playlist import MediaPlaylist
from hotpath.hls.tags import Delta
from tests.support import m3u8

START_NS = 1_790_000_000_000_000_000
HOURS_12 = 12 * 3600
SEGMENT_S = 2


def playlist(window_s: int) -> MediaPlaylist:
    return MediaPlaylist("k1/video/", target_duration_s=2, part_target_ms=215, window_s=window_s)


def place(msn: int, discontinuity: int = 0, init: int = 0) -> Place:
    return Place(msn, init, discontinuity, START_NS + msn * SEGMENT_S * 1_000_000_000)


def fill(model: MediaPlaylist, segments: range, discontinuity: int = 0) -> None:
    for msn in segments:
        here = place(msn, discontinuity, discontinuity)
        for part in range(2):
            model.add_part(here, part, 200_000, independent=part == 0)
        model.close_segment(msn, SEGMENT_S * 1_000_000)


def starts(found: m3u8.Playlist) -> list[datetime]:
    return [segment.date for segment in found.segments if segment.date is not None]


def test_a_playlist_reaches_as_far_back_as_was_asked_for_and_little_further() -> None:
    model, removed = playlist(200), 0
    for msn in range(300):
        fill(model, range(msn, msn + 1))
        found = m3u8.parse(model.render())
        assert found.segments[0].msn >= removed
        removed = found.segments[0].msn
        listed_s = sum(segment.duration or 0 for segment in found.segments)
        assert removed == 0 or 200 <= listed_s <= 200 * 17 / 16 + SEGMENT_S
        assert [s.msn for s in found.segments] == list(range(removed, msn + 1))
    assert removed > 0


def test_a_window_shorter_than_others_changes_nothing() -> None:
    short, none = playlist(5), playlist(0)
    for msn in range(40):
        fill(short, range(msn, msn + 1))
        fill(none, range(msn, msn + 1))
        if msn > 12:
            assert short.render() == none.render()


def test_what_leaves_is_told_a_chunk_at_a_time() -> None:
    model, gone = playlist(64), []
    for msn in range(200):
        model.add_part(place(msn), 0, 2_000_000, independent=True)
        gone += model.close_segment(msn, 2_000_000).segments
        listed = [segment.msn for segment in m3u8.parse(model.render()).segments]
        assert gone + listed == list(range(msn + 1))


def test_older_segments_keep_their_tags() -> None:
    model = playlist(400)
    fill(model, range(64, 104))
    fill(model, range(104, 150), discontinuity=2)
    model.add_gap(place(150, 2, 2), 2_000_000)
    fill(model, range(151, 500), discontinuity=3)
    found = m3u8.parse(model.render())
    first = found.segments[0]
    assert first.msn > 64
    for segment in found.segments:
        discontinuity = 0 if segment.msn < 104 else 2 if segment.msn <= 150 else 3
        assert segment.discontinuity == discontinuity
        assert segment.map == f"k1/video/init-{discontinuity}.mp4"
        assert segment.uri == f"k1/video/s{segment.msn}.m4s"
        assert segment.gap == (segment.msn == 150)
    assert starts(found) == sorted(starts(found))
    assert len(starts(found)) == len(found.segments)


def test_older_segments_have_no_parts() -> None:
    model = playlist(HOURS_12)
    fill(model, range(300))
    found = m3u8.parse(model.render())
    assert [segment.msn for segment in found.segments if segment.parts] == [297, 298, 299]


def test_date_ranges_stay_where_they_were_and_leave_alone() -> None:
    model = playlist(600)
    for msn in range(250):
        model.add_date(f"d{msn}", f'#EXT-X-DATERANGE:ID="d{msn}"\n')
        fill(model, range(msn, msn + 1))
    lines = model.render().splitlines()
    for msn in (100, 150, 249):
        at = lines.index(f'#EXT-X-DATERANGE:ID="d{msn}"')
        assert at == lines.index(f"k1/video/s{msn - 1}.m4s") + 1
    gone = {"d100", "d101", "d249"}
    model.drop_dates(gone)
    dropped = [f'#EXT-X-DATERANGE:ID="{id}"' for id in gone]
    assert model.render().splitlines() == [line for line in lines if line not in dropped]


def test_date_ranges_of_segments_that_left_come_first() -> None:
    model = playlist(64)
    model.add_date("long", '#EXT-X-DATERANGE:ID="long"\n')
    fill(model, range(200))
    lines = model.render().splitlines()
    assert lines.index('#EXT-X-DATERANGE:ID="long"') < lines.index("#EXTINF:2.000000,")
    assert lines.count('#EXT-X-DATERANGE:ID="long"') == 1


def test_an_update_leaves_out_all_that_is_older() -> None:
    model = playlist(HOURS_12)
    model.add_date("a", '#EXT-X-DATERANGE:ID="a"\n')
    fill(model, range(1000))
    full, delta = m3u8.parse(model.render()), m3u8.parse(model.render(delta=Delta()))
    assert delta.skipped == 1000 - 7
    assert [s.msn for s in delta.segments] == [s.msn for s in full.segments[delta.skipped :]]
    assert delta.tags["#EXT-X-DATERANGE"] == ['ID="a"']
    v2 = m3u8.parse(model.render(delta=Delta(1)))
    assert "#EXT-X-DATERANGE" not in v2.tags


def test_what_is_new_for_a_part_does_not_grow_with_the_window() -> None:
    model = playlist(HOURS_12)
    fill(model, range(21_600 + CHUNK))
    assert len(m3u8.parse(model.render()).segments) >= 21_600
    before = model.text()
    model.add_part(place(21_600 + CHUNK), 0, 200_000, independent=True)
    after = model.text()
    assert after.older is before.older
    assert len(after.head) + len(after.tail) < 2 * CHUNK * 100
    assert len(model.render(delta=Delta())) < 3_000


def test_its_gzip_is_its_text() -> None:
    model = playlist(HOURS_12)
    fill(model, range(1000))
    text = model.text()
    assert text.older is not None
    assert text.plain.decode() == model.render()
    assert gzip.decompress(text.gzipped) == text.plain
