"""Media files stay exactly until their time."""

from hotpath.hls.shelf import Shelf, StoredFile


def stored(*chunks: bytes) -> StoredFile:
    return StoredFile(chunks, b"video/mp4", 100)


def test_a_file_goes_at_its_deadline_and_not_before() -> None:
    shelf = Shelf()
    shelf.put("a", stored(b"x"))
    shelf.put("b", stored(b"y"))
    shelf.remove_at("b", 500)
    shelf.expire(499)
    assert shelf.get("b") is not None
    shelf.expire(500)
    assert shelf.get("b") is None
    assert shelf.get("a") is not None


def test_a_decided_removal_is_told() -> None:
    shelf = Shelf()
    file = stored(b"x")
    shelf.put("a", file)
    assert file.expires_ms == 100
    shelf.remove_at("a", 900)
    assert file.expires_ms == 900
    shelf.remove_at("never there", 900)
    shelf.expire(10_000)
    assert len(shelf) == 0


def test_a_segment_is_its_parts_joined_once() -> None:
    file = stored(b"ab", b"cd")
    assert file.body == b"abcd"
    assert file.body is file.body
    one = b"ab"
    assert stored(one).body is one


def test_what_leaves_memory_alone_is_not_said_to_be_gone() -> None:
    shelf = Shelf()
    file = stored(b"x")
    shelf.put("a", file)
    shelf.drop_at("a", 50)
    assert file.expires_ms == 100
    shelf.expire(50)
    assert shelf.get("a") is None
