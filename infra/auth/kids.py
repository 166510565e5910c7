"""Names of a project's secrets: `k1`, `k2`, and so on. Pure.

Invariant: the newest secret has the greatest number. It signs, and what signs is never retired, so
no name is used twice, and a set of names that lacks a lower one lacks it for good.

Upstream: nobody. Downstream: `infra.control`, which makes and retires secrets; media nodes take
any name.
"""

from collections.abc import Collection

FIRST_KID = "k1"


def number_of(kid: str) -> int:
    """0 for a name of another form."""
    digits = kid[1:]
    return int(digits) if kid[:1] == "k" and digits.isascii() and digits.isdigit() else 0


def newest_of(kids: Collection[str]) -> str:
    """The one that signs. Raises ValueError where there is none."""
    return max(kids, key=number_of)


def kid_after(kids: Collection[str]) -> str:
    """The name of the next secret."""
    return f"k{max(map(number_of, kids), default=0) + 1}"
