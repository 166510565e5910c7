from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from coldpath.media.splice import Splice

FRAME = 3_600  # 25 fps at 90 kHz


def placed(splice: Splice, track: str, pts: int, dts: int, duration: int) -> tuple[int, int]:
    """(pts, dts) of one unit."""
    (at,), (offset,) = splice.place(track, [dts], [pts - dts], [duration])
    return at + offset, at


def video(splice: Splice, start: int, count: int, delay: int = 0) -> list[tuple[int, int]]:
    """Places `count` frames with `delay` frames between decoding and presenting."""
    return [
        placed(splice, "video", start + (n + delay) * FRAME, start + n * FRAME, FRAME)
        for n in range(count)
    ]


def test_a_file_starts_at_zero_whatever_the_programme_clock_says() -> None:
    splice = Splice({"video": 90_000, "audio": 48_000})
    splice.begin({"video": 9_000_000, "audio": 4_800_480})
    assert placed(splice, "video", 9_000_000, 9_000_000, FRAME) == (0, 0)
    # The sound came 10 ms after the picture and still does.
    assert placed(splice, "audio", 4_800_480, 4_800_480, 1024) == (480, 480)


def test_reordered_frames_start_presentation_at_zero_and_decode_before() -> None:
    splice = Splice({"video": 90_000})
    splice.begin({"video": 2 * FRAME})
    assert video(splice, 0, 2, delay=2) == [(0, -2 * FRAME), (FRAME, -FRAME)]


def test_a_gap_between_runs_is_taken_out() -> None:
    splice = Splice({"video": 90_000})
    splice.begin({"video": 0})
    video(splice, 0, 25)
    splice.begin({"video": 30 * 90_000})
    assert video(splice, 30 * 90_000, 1) == [(90_000, 90_000)]
    assert splice.end == Fraction(26, 25)


def test_runs_without_a_gap_are_not_moved_apart() -> None:
    # Sound ends a little after the picture; the next run must not wait for it.
    splice = Splice({"video": 90_000, "audio": 48_000})
    splice.begin({"video": 0, "audio": 0})
    video(splice, 0, 25)
    for n in range(47):
        placed(splice, "audio", n * 1024, n * 1024, 1024)
    splice.begin({"video": 90_000, "audio": 47 * 1024})
    assert video(splice, 90_000, 1) == [(90_000, 90_000)]
    assert placed(splice, "audio", 47 * 1024, 47 * 1024, 1024) == (47 * 1024, 47 * 1024)


def test_a_track_that_is_new_comes_after_everything_else() -> None:
    splice = Splice({"video": 90_000, "audio": 48_000})
    splice.begin({"video": 0})
    video(splice, 0, 25)
    splice.begin({"audio": 0})
    assert placed(splice, "audio", 0, 0, 1024) == (48_000, 48_000)


run = st.tuples(st.integers(0, 10**9), st.integers(1, 30), st.integers(0, 3))


@settings(deadline=None)
@given(st.lists(run, min_size=1, max_size=8))
def test_decode_times_rise_and_presentation_never_goes_back_over_a_join(
    runs: list[tuple[int, int, int]],
) -> None:
    splice, last_dts, shown_until = Splice({"video": 90_000}), None, 0
    for start, count, delay in runs:
        splice.begin({"video": start + delay * FRAME})
        put = video(splice, start, count, delay)
        for pts, dts in put:
            assert last_dts is None or dts > last_dts
            assert pts >= dts
            last_dts = dts
        assert min(pts for pts, _ in put) >= shown_until
        shown_until = max(pts for pts, _ in put) + 1


@settings(deadline=None)
@given(st.lists(run, min_size=1, max_size=8))
def test_units_are_placed_together_as_one_by_one(runs: list[tuple[int, int, int]]) -> None:
    one, all_ = Splice({"video": 90_000}), Splice({"video": 90_000})
    for start, count, delay in runs:
        for splice in (one, all_):
            splice.begin({"video": start + delay * FRAME})
        dts = [start + n * FRAME for n in range(count)]
        at, offsets = all_.place("video", dts, [delay * FRAME] * count, [FRAME] * count)
        assert [(a + o, a) for a, o in zip(at, offsets, strict=True)] == video(
            one, start, count, delay
        )
        assert one.end == all_.end
