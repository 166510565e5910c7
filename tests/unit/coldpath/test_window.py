from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from coldpath.media.recording import Recording, recording
from coldpath.media.window import NS, Window, began_ns, on_the_wall, reached_ns, within
from infra.manifest import RenditionEntry, SegmentEntry, SessionManifest

EPOCH = 1_700_000_000 * NS


def entry(msn: int, start: int, *, key: bool = True, sequence: int = 0) -> SegmentEntry:
    """Two seconds, at `start` seconds."""
    return SegmentEntry(
        msn=msn, init=0, start=start * 1000, duration=2000, bytes=1, samples=50,
        discontinuity_seq=sequence, independent=key, pdt_ns=EPOCH + start * NS,
    )  # fmt: skip


def recorded(*entries: SegmentEntry, kinds: tuple[str, ...] = ("video", "audio")) -> Recording:
    renditions = tuple(
        RenditionEntry(
            name=kind, kind=kind, codecs=("x",), timescale=1000, inits=1, segments=entries
        )
        for kind in kinds
    )
    manifest = SessionManifest(
        project="p", event="e", feed="main", incarnation="i", final=True, started_ns=0, ended_ns=0,
        target_duration_s=2, renditions=renditions,
    )  # fmt: skip
    return recording([manifest])


def msns(found: Recording) -> list[int]:
    return [msn for run in found.runs for msn in run.msns]


def window(start: float, end: float) -> Window:
    return Window(EPOCH + round(start * NS), EPOCH + round(end * NS))


WHOLE = recorded(*(entry(n, 2 * n) for n in range(5)))
DIVIDED = recorded(*(entry(n, 2 * n + (50 if n > 1 else 0), sequence=n // 2) for n in range(4)))


def test_segments_that_show_the_window_are_kept_whole() -> None:
    assert msns(within(WHOLE, window(2.5, 6.5))) == [1, 2, 3]
    assert msns(within(WHOLE, window(2, 6))) == [1, 2]
    assert msns(within(WHOLE, window(2.5, 6), beyond=1)) == [1, 2, 3]
    assert msns(within(WHOLE, window(9, 60), beyond=1)) == [4]


def test_nothing_is_kept_where_nothing_was_recorded() -> None:
    for outside in (window(-5, 0), window(10, 12)):
        found = within(WHOLE, outside)
        assert (found.runs, found.renditions) == ((), ())
    assert msns(within(DIVIDED, window(10, 20))) == []


def test_a_clip_begins_where_a_player_can_begin() -> None:
    found = recorded(entry(0, 0), entry(1, 2, key=False), entry(2, 4, key=False), entry(3, 6))
    assert msns(within(found, window(4.5, 6.5))) == [0, 1, 2, 3]


def test_sound_decides_where_there_is_no_picture() -> None:
    found = recorded(entry(0, 0), entry(1, 2), kinds=("audio",))
    assert msns(within(found, window(2.5, 3))) == [1]


def test_seconds_of_a_player_leave_gaps_out() -> None:
    assert on_the_wall(DIVIDED, Fraction(3, 2)) == EPOCH + 3 * NS // 2
    assert on_the_wall(DIVIDED, Fraction(9, 2)) == EPOCH + 54 * NS + NS // 2
    assert on_the_wall(DIVIDED, Fraction(8)) == reached_ns(DIVIDED) == EPOCH + 58 * NS
    assert on_the_wall(DIVIDED, Fraction(9)) is None
    assert began_ns(DIVIDED) == EPOCH


@given(st.integers(-2000, 60_000), st.integers(1, 60_000))
def test_every_recorded_moment_of_the_window_is_shown(start_ms: int, length_ms: int) -> None:
    wanted = window(start_ms / 1000, (start_ms + length_ms) / 1000)
    kept = set(msns(within(DIVIDED, wanted)))
    for run in DIVIDED.runs:
        for segment in run.of("video"):
            begins = segment.entry.pdt_ns
            shown = begins < wanted.end_ns and begins + 2 * NS > wanted.start_ns
            assert (segment.entry.msn in kept) == shown
