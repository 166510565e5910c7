import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.supervisor.order import dependents, stages


def test_each_wave_depends_on_earlier_ones_only() -> None:
    graph = {"worker": ["control", "broker"], "control": ["s3"], "broker": [], "s3": []}
    assert stages(graph) == [["broker", "s3"], ["control"], ["worker"]]


def test_roles_that_run_elsewhere_are_up() -> None:
    assert stages({"worker": ["broker"]}) == [["worker"]]


def test_a_circle_is_refused() -> None:
    with pytest.raises(ValueError, match="circle: a, b"):
        stages({"a": ["b"], "b": ["a"], "c": []})


def test_dependents_are_direct() -> None:
    graph = {"a": [], "b": ["a"], "c": ["b"]}
    assert dependents(graph, "a") == {"b"}


@given(st.dictionaries(st.integers(0, 12), st.sets(st.integers(0, 12))))
def test_no_role_comes_before_what_it_needs(raw: dict[int, set[int]]) -> None:
    # Needs of a lower number only: no circle.
    graph = {str(k): [str(n) for n in needs if n < k] for k, needs in raw.items()}
    waves = stages(graph)
    place = {role: index for index, wave in enumerate(waves) for role in wave}
    assert set(place) == set(graph)
    for role, needs in graph.items():
        assert all(place[need] < place[role] for need in needs if need in graph)
