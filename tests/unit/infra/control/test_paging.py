"""Cursors come back as they were, and nothing else is taken for one."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.control.ids import new_id
from infra.control.paging import Cursor
from infra.keys import is_name


@given(
    st.integers(0, 10**15 - 1),
    st.from_regex(r"[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True),
    st.sampled_from(["", "s", "l"]),
)
def test_roundtrip(at_ms: int, row: str, order: str) -> None:
    cursor = Cursor(at_ms, row, order)
    assert Cursor.decode(cursor.encode()) == cursor


@given(st.text(max_size=60))
def test_garbage_is_a_value_error_or_a_cursor(text: str) -> None:
    with contextlib.suppress(ValueError):
        Cursor.decode(text)


@pytest.mark.parametrize("text", ["", "AAAA", "é", "\ud800", "MTphYg==\n", "LTE6YWI"])
def test_look_alikes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no cursor"):
        Cursor.decode(text)


def test_ids_are_names() -> None:
    made = {new_id("ev_") for _ in range(100)}
    assert len(made) == 100
    assert all(is_name(one) and len(one) == 23 for one in made)
