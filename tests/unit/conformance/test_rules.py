"""Every rule is kept by a faultless server, and broken by one that does what the rule forbids."""

from dataclasses import replace
from typing import Any

import pytest

from conformance.reading import read_media
from conformance.rule import Outcome, judge
from conformance.rules import RULES
from tests.support.broken_rules import BROKEN, KEPT
from tests.support.observed import (
    GAP,
    SEGMENTS,
    answers,
    every_track,
    files,
    observed,
    playlist,
    swap,
    whole,
)
from tests.support.spoiled import later_by

BY_ID = {rule.id: rule for rule in RULES}


def test_each_rule_has_a_case_that_breaks_it() -> None:
    assert set(BROKEN) == set(BY_ID)


@pytest.mark.parametrize("id", list(BY_ID))
def test_a_faultless_server_keeps(id: str) -> None:
    verdict = judge(BY_ID[id], observed(**KEPT.get(id, {})))
    assert verdict.outcome is Outcome.OK, verdict.evidence
    assert verdict.evidence


@pytest.mark.parametrize("id", list(BY_ID))
def test_is_broken(id: str) -> None:
    verdict = judge(BY_ID[id], observed(**BROKEN[id]))
    assert verdict.outcome is Outcome.BROKEN, verdict.evidence
    assert verdict.evidence
    assert 0 < verdict.broken <= verdict.cases


@pytest.mark.parametrize("id", list(BY_ID))
def test_nothing_seen_is_no_success(id: str) -> None:
    seen = observed()
    empty = every_track(lambda t: replace(t, versions=(), fetched=(), probes=()))(seen)
    verdict = judge(BY_ID[id], replace(empty, multivariant=None, requests=(), protocol=None))
    assert verdict.outcome in (Outcome.NOT_SEEN, Outcome.NOT_APPLICABLE), verdict


@pytest.mark.parametrize(
    ("id", "kind"),
    [("6.2.2-removed-part", "removed part"), ("6.2.2-removed-segment", "kept segment")],
)
def test_what_was_asked_for_too_late_says_nothing(id: str, kind: str) -> None:
    gone = files(kind, status=404, until_s=lambda one: one.exchange.head_s - 0.001)
    assert judge(BY_ID[id], observed(change=gone)).outcome is Outcome.NOT_SEEN
    in_time = files(kind, status=404, until_s=lambda one: one.exchange.head_s)
    assert judge(BY_ID[id], observed(change=in_time)).outcome is Outcome.BROKEN


def test_a_gap_before_segments_whose_parts_have_gone_breaks_no_order() -> None:
    # A sound that joins late begins with one.
    def begun_with_a_gap(text: str, name: str, parts: int) -> str:
        return text.replace(
            f"#EXTINF:2.000,\n{name}-0.m4s", f"#EXT-X-GAP\n#EXTINF:2.000,\n{name}-0.m4s"
        )

    seen = observed(begun_with_a_gap)
    assert any(one.segments and one.segments[0].gap for _, one in seen.playlists)
    assert judge(BY_ID["6.2.2-order"], seen).outcome is Outcome.OK


def test_an_answer_may_be_as_late_as_the_observer_was() -> None:
    slow = files("part", head_s=lambda one: one.exchange.asked_s + 1.5)
    seen = observed(change=slow)
    assert judge(BY_ID["6.2.1-part-available"], seen).outcome is Outcome.BROKEN
    assert judge(BY_ID["6.2.1-part-available"], replace(seen, lag_s=0.6)).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("id", "name"), [("6.2.5.2-part-alone", "part alone"), ("6.2.5.2-far", "part too far")]
)
def test_an_ended_playlist_may_ignore_any_directive(id: str, name: str) -> None:
    ended = read_media(playlist("video", whole(SEGMENTS)))
    assert ended.ended
    seen = observed(change=answers(name, status=200, playlist=ended))
    assert judge(BY_ID[id], seen).outcome is not Outcome.BROKEN


@pytest.mark.parametrize(
    ("id", "name", "wanted"),
    [
        ("6.2.5.2-segment", "msn", (999, None)),
        ("6.2.5.2-part", "msn and part", (999, 0)),
        ("6.2.5.2-next-segment", "part beyond segment", (999, 12)),
    ],
)
def test_what_is_waited_for_when_the_playlist_ends_never_comes(
    id: str, name: str, wanted: tuple[int, int | None]
) -> None:
    ended = read_media(playlist("video", whole(SEGMENTS)))
    seen = observed(change=answers(name, playlist=ended, wanted=wanted))
    assert judge(BY_ID[id], seen).outcome is Outcome.OK
    going_on = observed(change=answers(name, wanted=wanted))
    assert judge(BY_ID[id], going_on).outcome is Outcome.BROKEN


def test_a_part_that_its_longer_segment_has_itself_is_not_beyond_it() -> None:
    its_own = observed(change=answers("part beyond segment", wanted=(5, 2)))
    assert judge(BY_ID["6.2.5.2-next-segment"], its_own).outcome is Outcome.NOT_SEEN


def test_renditions_are_held_against_each_other_as_they_were_at_one_time() -> None:
    def newer_in_one(seen: Any) -> Any:
        one, other = seen.tracks
        earlier = replace(one, versions=(*one.versions[:40], one.versions[-1]))
        return replace(seen, tracks=(earlier, replace(other, versions=other.versions[:40])))

    verdict = judge(BY_ID["6.2.4-content"], observed(change=newer_in_one))
    assert verdict.outcome is Outcome.OK, verdict.evidence


@pytest.mark.parametrize(("versions", "outcome"), [(1, Outcome.OK), (2, Outcome.BROKEN)])
def test_a_date_range_may_come_to_one_rendition_a_moment_sooner(
    versions: int, outcome: Outcome
) -> None:
    poll = '#EXT-X-DATERANGE:ID="poll"'
    late = '#EXT-X-DATERANGE:ID="late",START-DATE="2030-01-01T00:00:00Z"\n'
    sooner, others = observed(edit=swap(poll, late + poll)).tracks[0], observed().tracks
    one = (*others[0].versions[: 40 - versions], *sooner.versions[40 - versions : 40])
    tracks = (replace(sooner, versions=one), replace(others[1], versions=others[1].versions[:40]))
    seen = observed(change=lambda seen: replace(seen, tracks=tracks))
    assert judge(BY_ID["6.2.4-dateranges"], seen).outcome is outcome


def test_a_hinted_part_that_is_listed_as_lost_may_be_gone() -> None:
    uri = f"video-{GAP - 1}.1.m4s"
    gone = files("hint", status=lambda one: 404 if one.uri == uri else one.exchange.status)
    verdict = judge(BY_ID["6.2.6-available"], observed(change=gone))
    assert (verdict.outcome, verdict.broken) == (Outcome.BROKEN, 1)
    lost = swap(f'{uri}"', f'{uri}",GAP=YES', since=0)
    assert judge(BY_ID["6.2.6-available"], observed(change=gone, edit=lost)).outcome is Outcome.OK


def test_a_file_may_be_gone_when_its_max_age_ran_out_while_the_answer_was_on_its_way() -> None:
    def track(found: Any) -> Any:
        one = next(one for one in found.fetched if one.kind == "segment")
        late = replace(later_by(19.5, one.exchange), status=404, head_s=one.exchange.asked_s + 20.5)
        return replace(found, fetched=(*found.fetched, replace(one, exchange=late)))

    verdict = judge(BY_ID["6.2.2-expires-true"], observed(change=every_track(track)))
    assert verdict.outcome is not Outcome.BROKEN
