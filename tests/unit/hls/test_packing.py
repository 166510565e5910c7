"""Gzip out of pieces that were compressed apart."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from hotpath.hls.packing import Piece, Run, member

TEXT = st.binary(max_size=300) | st.integers(0, 5000).map(lambda n: b"#EXTINF:2.000000,\n" * n)


def unpacked(data: bytes) -> bytes:
    """By a reader that stops after one member, as browsers do."""
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    plain = reader.decompress(data)
    assert reader.eof
    assert reader.unused_data == b""
    return plain


@given(head=TEXT, older=st.lists(TEXT, max_size=6), tail=TEXT)
def test_a_member_is_its_pieces_in_their_order(
    head: bytes, older: list[bytes], tail: bytes
) -> None:
    run = Run.of([Piece.of(plain) for plain in older])
    assert unpacked(member(head, run, tail)) == b"".join([head, *older, tail])


def test_a_run_is_part_of_many_members() -> None:
    run = Run.of([Piece.of(b"one\n" * 1000), Piece.of(b"two\n" * 1000)])
    for number in range(3):
        head, tail = b"head %d\n" % number, b"tail\n" * number
        packed = member(head, run, tail)
        assert unpacked(packed) == head + b"one\n" * 1000 + b"two\n" * 1000 + tail
        assert run.packed in packed
