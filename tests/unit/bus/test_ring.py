"""The bounded ring: what readers get, lose and are told about."""

from hypothesis import given
from hypothesis import strategies as st

from hotpath.bus.ring import Ring


def units(ring: Ring[str], text: str) -> None:
    """Upper case is a keyframe, lower case a frame, a digit a format; 10 bytes each."""
    for char in text:
        if char.isdigit():
            ring.append(char, 10, sticky="format")
        else:
            ring.append(char, 10, unit=True, join=char.isupper())


def test_a_reader_gets_everything_in_order() -> None:
    ring: Ring[str] = Ring(100, 10_000)
    position = ring.at_join()
    units(ring, "Abc")
    assert ring.read(position) == ["A", "b", "c"]
    units(ring, "Def")
    assert ring.read(position) == ["D", "e", "f"]
    assert ring.read(position) == []
    assert position.skipped == 0


def test_a_joiner_starts_at_the_newest_keyframe() -> None:
    ring: Ring[str] = Ring(100, 10_000)
    units(ring, "AbcDef")
    assert ring.read(ring.at_join()) == ["D", "e", "f"]


def test_a_live_reader_starts_now_with_the_format_in_force() -> None:
    ring: Ring[str] = Ring(100, 10_000)
    units(ring, "1Abc")
    position = ring.at_end()
    assert not ring.available(position)
    units(ring, "d")
    assert ring.read(position) == ["1", "d"]


def test_a_slow_reader_moves_to_the_next_keyframe_and_is_counted() -> None:
    ring: Ring[str] = Ring(6, 10_000)
    position = ring.at_join()
    units(ring, "Ab")
    assert ring.read(position) == ["A", "b"]
    units(ring, "cdEfghIj")  # the ring holds E f g h I j; c was lost
    assert ring.read(position) == ["E", "f", "g", "h", "I", "j"]
    assert position.skipped == 2


def test_a_gop_longer_than_the_ring_is_evicted_and_readers_wait() -> None:
    ring: Ring[str] = Ring(4, 10_000)
    behind = ring.at_join()
    units(ring, "A")
    assert ring.read(behind) == ["A"]
    units(ring, "bcdefg")
    joiner = ring.at_join()
    assert ring.read(behind) == []
    assert ring.read(joiner) == []
    units(ring, "Hi")
    assert ring.read(behind) == ["H", "i"]
    assert ring.read(joiner) == ["H", "i"]
    assert behind.skipped == 6
    assert joiner.skipped == 0


def test_bytes_bound_the_ring_too() -> None:
    ring: Ring[str] = Ring(100, 35)
    units(ring, "AbCd")
    assert ring.bytes <= 35
    assert len(ring) == 3
    ring.append("Huge", 36, unit=True, join=True)
    assert len(ring) == 0
    assert ring.bytes == 0


def test_a_skipping_reader_is_given_the_format_it_missed() -> None:
    ring: Ring[str] = Ring(4, 10_000)
    position = ring.at_join()
    units(ring, "1A")
    assert ring.read(position) == ["1", "A"] or ring.read(position) == []
    units(ring, "b2CdefGh")
    assert ring.read(position)[:2] == ["2", "G"]


def test_a_format_is_given_once() -> None:
    ring: Ring[str] = Ring(100, 10_000)
    units(ring, "1Ab")
    position = ring.at_join()
    units(ring, "c")
    assert ring.read(position) == ["1", "A", "b", "c"]
    units(ring, "D")
    assert ring.read(position) == ["D"]


def test_limit_splits_a_read() -> None:
    ring: Ring[str] = Ring(100, 10_000)
    units(ring, "Abcde")
    position = ring.at_join()
    assert ring.read(position, limit=2) == ["A", "b"]
    assert ring.read(position, limit=2) == ["c", "d"]
    assert ring.read(position, limit=2) == ["e"]


actions = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from("Kkkkfx"), st.integers(1, 60)),
        st.tuples(st.just("read"), st.integers(0, 2), st.integers(1, 8)),
    ),
    max_size=120,
)


@given(actions, st.integers(1, 12), st.integers(50, 400))
def test_bounds_order_and_count_hold_for_any_readers(
    steps: list[tuple[str, str | int, int]], max_items: int, max_bytes: int
) -> None:
    ring: Ring[tuple[str, int]] = Ring(max_items, max_bytes)
    readers = [ring.at_end() for _ in range(3)]
    got: list[list[tuple[str, int]]] = [[], [], []]
    written = 0
    for verb, what, amount in steps:
        if verb == "write":
            kind = str(what)
            unit = kind in "Kk"
            ring.append(
                (kind, written),
                amount,
                unit=unit,
                join=kind == "K",
                sticky="format" if kind == "f" else None,
            )
            written += 1
        else:
            got[int(what)] += ring.read(readers[int(what)], amount)
        assert len(ring) <= max_items
        assert ring.bytes <= max_bytes
    # Everyone is brought to the end; what was not delivered was counted.
    for position, items in zip(readers, got, strict=True):
        ring.append(("K", written), 1, join=True, unit=True)
        written += 1
        while more := ring.read(position, 5):
            items.extend(more)
        order = [number for kind, number in items if kind != "f"]
        assert order == sorted(set(order))
        delivered = sum(1 for kind, _ in items if kind in "Kk")
        assert delivered + position.skipped == ring.units
        formats = [number for kind, number in items if kind == "f"]
        assert formats == sorted(set(formats))
