"""Pictures find the unit that they came from."""

from hotpath.encode.passing import MAX, Passing
from hotpath.media.unit import VIDEO, Unit


def unit(pts: int) -> Unit:
    return Unit(VIDEO, pts, pts, False, b"", 0, 0)


def test_in_display_order_though_they_came_in_decode_order() -> None:
    passing = Passing()
    for pts in (0, 9, 3, 6):
        passing.receive(unit(pts))
    assert [passing.decoded(pts) for pts in (0, 3, 6, 9)] == [(unit(p), 0) for p in (0, 3, 6, 9)]


def test_units_that_gave_no_picture_are_told_once() -> None:
    passing = Passing()
    for pts in (0, 3, 6, 9):
        passing.receive(unit(pts))
    assert passing.decoded(6) == (unit(6), 2)
    assert passing.decoded(3) == (None, 0)
    assert passing.decoded(None) == (None, 0)
    assert passing.decoded(9) == (unit(9), 0)


def test_what_is_inside_the_encoder_is_found_once() -> None:
    passing = Passing()
    passing.encode(unit(5))
    assert passing.encoded(5) == unit(5)
    assert passing.encoded(5) is None


def test_it_is_bounded_and_forgets_the_oldest() -> None:
    passing = Passing()
    for pts in range(2 * MAX):
        passing.receive(unit(pts))
        passing.encode(unit(pts))
    assert passing.encoded(0) is None
    assert passing.decoded(MAX - 1) == (None, 0)
    assert passing.decoded(2 * MAX - 1) == (unit(2 * MAX - 1), MAX - 1)
