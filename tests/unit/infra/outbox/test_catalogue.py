"""Patterns name types; what names nothing is no pattern."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.events.facts import FactType
from infra.lifecycle import TRANSITIONS
from infra.outbox.catalogue import TOLD, NoticeType, chosen, is_pattern
from infra.outbox.facts import TOLD_FACTS


def test_every_type_is_told_in_words() -> None:
    assert set(TOLD) == set(NoticeType)
    assert all(words.endswith(".") for words in TOLD.values())


def test_every_type_is_documented() -> None:
    page = (Path(__file__).parents[4] / "docs/webhooks.md").read_text()
    assert [kind.value for kind in NoticeType if f"`{kind.value}`" not in page] == []


def test_every_state_that_an_event_can_come_to_is_a_public_event() -> None:
    for state in set(TRANSITIONS.values()):
        assert NoticeType(f"event.{state.value}")


def test_facts_that_are_told_have_types_of_their_own() -> None:
    assert len(set(TOLD_FACTS.values())) == len(TOLD_FACTS)
    assert FactType.PROGRAM_LIVE not in TOLD_FACTS


def test_patterns_choose_types() -> None:
    assert chosen(["*"]) == set(NoticeType)
    assert chosen(["job.dead"]) == {NoticeType.JOB_DEAD}
    assert chosen(["job.*", "asset.ready"]) == {
        NoticeType.JOB_DEAD, NoticeType.JOB_SUCCEEDED, NoticeType.ASSET_READY,
    }  # fmt: skip
    assert chosen([]) == set()


@pytest.mark.parametrize(
    "text", ["", "event", "event.", "event.liv", "ev*", "*.live", "event.*.live", "EVENT.*", "**"]
)
def test_what_names_nothing_is_no_pattern(text: str) -> None:
    assert not is_pattern(text)


@given(st.text(max_size=80))
def test_a_pattern_chooses_something(text: str) -> None:
    assert is_pattern(text) <= bool(chosen([text]))
