"""Counts become few, useful warnings."""

from hotpath.program.complaints import REPEAT_NS, Complaints


def test_a_count_is_told_once_and_again_only_when_it_has_grown_a_while_later() -> None:
    complaints = Complaints()
    (first,) = complaints.poll({"damaged": 3}, 0)
    assert first.code == "damaged"
    assert first.message.startswith("3 frames")
    assert complaints.poll({"damaged": 400}, REPEAT_NS - 1) == []
    (second,) = complaints.poll({"damaged": 415}, REPEAT_NS)
    assert second.message.startswith("412 frames")
    assert complaints.poll({"damaged": 415}, 5 * REPEAT_NS) == []


def test_counts_that_nobody_can_mend_are_not_told() -> None:
    assert Complaints().poll({"before-keyframe": 100}, 0) == []
