"""A ladder is cut down to what the machine can do, and says so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.encode.ladder_admission import (
    FEW,
    HEADROOM,
    WINDOW_NS,
    Overload,
    Source,
    admit,
    overload_words,
    predict,
)
from infra.renditions import RUNGS, rungs_of

HD = Source(1920, 1080, 30)
NS = 1_000_000_000
ALL = rungs_of(RUNGS)


def test_what_fits_is_kept_and_needs_no_words() -> None:
    admission = admit(ALL, HD, speed=50e6, cores=16)
    assert admission.kept == ALL
    assert admission.trimmed == ()
    assert admission.words(16) == ""
    assert admission.cores == pytest.approx(predict(ALL, HD, 50e6))


def test_the_tallest_rungs_are_trimmed_first_in_words() -> None:
    admission = admit(ALL, HD, speed=50e6, cores=1.5)
    assert [rung.name for rung in admission.trimmed] == ["1080p", "720p"]
    assert admission.words(1.5) == (
        "1080p, 720p are left out: this machine has 1.5 cores left for the renditions of this "
        "stream, and they would take more. Viewers get the source and 480p, 360p, 240p."
    )


def test_a_machine_that_can_do_none_serves_the_source() -> None:
    admission = admit(ALL, HD, speed=1e6, cores=1)
    assert (admission.kept, admission.cores) == ((), 0.0)
    assert admission.words(1).endswith("Viewers get the source only.")


@given(
    st.sets(st.sampled_from(sorted(RUNGS)), min_size=1),
    st.floats(1e5, 1e9),
    st.floats(0, 64),
    st.integers(1, 120),
)
def test_what_is_kept_fits_and_one_more_would_not(
    names: set[str], speed: float, cores: float, fps: int
) -> None:
    source = Source(1280, 720, fps)
    rungs = rungs_of(names)
    admission = admit(rungs, source, speed=speed, cores=cores)
    assert admission.trimmed + admission.kept == rungs
    assert admission.cores <= HEADROOM * cores
    if admission.trimmed:
        more = (admission.trimmed[-1], *admission.kept)
        assert predict(more, source, speed) > HEADROOM * cores


def overloaded_at(late_of_ten: int, *, seconds: int = 30, fps: int = 30) -> list[int]:
    """Seconds after which a rung is dropped."""
    overload = Overload()
    return [
        n // fps
        for n in range(seconds * fps)
        if overload.receive(n % 10 < late_of_ten, n * NS // fps)
    ]


def test_lateness_that_persists_drops_a_rung_per_window() -> None:
    window = WINDOW_NS // NS
    assert overloaded_at(3) == [n * window for n in range(1, 30 // window)]


def test_lateness_that_passes_drops_none() -> None:
    assert overloaded_at(1) == []
    overload = Overload()
    late = [overload.receive(n < 30, n * NS // 30) for n in range(900)]
    assert not any(late)


def test_few_pictures_say_nothing() -> None:
    overload = Overload()
    assert not any(overload.receive(True, n * WINDOW_NS) for n in range(FEW))


def test_a_rung_that_was_dropped_is_named() -> None:
    assert overload_words(RUNGS["720p"], (RUNGS["360p"],)).startswith("720p stopped: ")
