"""What the benchmark's players take from a playlist and from a part."""

import gzip

from benchmarks.hls_clients import newest_stamp
from benchmarks.hls_playlist import Playlists, parse
from benchmarks.stamped import sei

HEAD = b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:7\n"
CLOSED = (
    b'#EXT-X-PART:DURATION=1,URI="s7.0.m4s",INDEPENDENT=YES\n'
    b'#EXT-X-PART:DURATION=1,URI="s7.1.m4s"\n#EXTINF:2,\ns7.m4s\n'
)
OPEN = b'#EXT-X-PART:DURATION=1,URI="s8.0.m4s"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="s8.1.m4s"\n'


def test_the_edge_is_the_newest_part_of_the_open_segment() -> None:
    found = parse(HEAD + CLOSED + OPEN)
    assert found.edge == (8, 0)
    assert found.parts == (((7, 0), b"s7.0.m4s"), ((7, 1), b"s7.1.m4s"), ((8, 0), b"s8.0.m4s"))


def test_an_open_segment_without_parts_is_next() -> None:
    assert parse(HEAD + CLOSED).edge == (8, -1)


def test_what_an_update_skips_is_counted() -> None:
    assert parse(HEAD + b"#EXT-X-SKIP:SKIPPED-SEGMENTS=20\n" + CLOSED + OPEN).edge == (28, 0)


def test_a_text_is_parsed_once_and_may_be_compressed() -> None:
    playlists, text = Playlists(), gzip.compress(HEAD + OPEN)
    assert playlists.parsed(text) is playlists.parsed(bytes(bytearray(text)))
    assert playlists.parsed(text).edge == (7, 0)


def test_a_part_is_as_old_as_its_last_frame() -> None:
    assert newest_stamp(b"moof" + sei(1) + b"slice" + sei(1_700_000_000_000_000)) == (
        1_700_000_000_000_000
    )
    assert newest_stamp(b"moof") is None
