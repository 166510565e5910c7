"""What waits for a child is bounded, and what is left out can be done without."""

from hypothesis import given
from hypothesis import strategies as st

from hotpath.encode.waiting import Waiting
from hotpath.media.unit import AUDIO, VIDEO, Unit


def unit(n: int, *, keyframe: bool = False, size: int = 10, track: str = VIDEO) -> Unit:
    return Unit(track, n, n, keyframe, bytes(size), 0, 0)


def test_video_is_left_out_up_to_the_next_keyframe() -> None:
    waiting = Waiting[Unit](video=True, max_units=2, max_bytes=1000)
    for each in (unit(0, keyframe=True), unit(1), unit(2)):
        waiting.offer(each)
    assert [u.pts for u in waiting.take()] == [0, 1]
    for each in (unit(3), unit(4), unit(5, keyframe=True), unit(6)):
        waiting.offer(each)
    assert [u.pts for u in waiting.take()] == [5, 6]
    assert waiting.dropped == 3


def test_sound_goes_on_with_the_next_unit() -> None:
    waiting = Waiting[Unit](video=False, max_units=1, max_bytes=1000)
    waiting.offer(unit(0, keyframe=True, track=AUDIO))
    waiting.offer(unit(1, keyframe=True, track=AUDIO))
    waiting.take()
    waiting.offer(unit(2, keyframe=True, track=AUDIO))
    assert [u.pts for u in waiting.take()] == [2]


def test_a_new_reader_begins_at_a_keyframe() -> None:
    waiting = Waiting[Unit](video=True, max_units=9, max_bytes=1000)
    for each in (unit(0), unit(1), unit(2, keyframe=True), unit(3)):
        waiting.offer(each)
    waiting.restart()
    assert [u.pts for u in waiting.take()] == [2, 3]
    waiting.restart()
    waiting.offer(unit(4))
    waiting.offer(unit(5, keyframe=True))
    assert [u.pts for u in waiting.take()] == [5]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 40), st.booleans()), max_size=60),
    st.booleans(),
)
def test_it_never_holds_more_than_its_bounds(
    offers: list[tuple[bool, int, bool]], video: bool
) -> None:
    waiting = Waiting[Unit](video=video, max_units=5, max_bytes=100)
    taken = 0
    for n, (keyframe, size, take) in enumerate(offers):
        waiting.offer(unit(n, keyframe=keyframe, size=size))
        assert len(waiting) <= 5
        assert waiting.bytes <= 100
        if take:
            units = waiting.take()
            taken += len(units)
            assert waiting.bytes == 0
    assert taken + len(waiting) + waiting.dropped == len(offers)
