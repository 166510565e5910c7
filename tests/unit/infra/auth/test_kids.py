"""Names of a project's secrets."""

import pytest

from infra.auth.kids import FIRST_KID, kid_after, newest_of, number_of


def test_the_newest_has_the_greatest_number_not_the_last_letter() -> None:
    assert newest_of(["k9", "k10", "k2"]) == "k10"


def test_names_are_counted_on_whatever_was_retired() -> None:
    assert kid_after([]) == FIRST_KID
    assert kid_after([FIRST_KID]) == "k2"
    assert kid_after(["k7", "k3"]) == "k8"


@pytest.mark.parametrize("kid", ["", "k", "k-1", "k²", "sk_2", "old"])
def test_a_name_of_another_form_is_older_than_all(kid: str) -> None:
    assert number_of(kid) == 0
    assert newest_of([kid, "k1"]) == "k1"
