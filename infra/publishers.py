"""The two places that an event has for publishers. Pure data.

Invariant: at most one publisher holds a place, whichever protocol it speaks. The role is part of
the address that the publisher uses, not of its key: one key opens both places.
"""

from enum import StrEnum


class Role(StrEnum):
    """Which place a publisher asks for; it does not say who is on the air."""

    PRIMARY = "primary"
    BACKUP = "backup"


Place = tuple[str, Role]
"""Event and role: what one publisher holds at a time."""

ROLES = tuple(Role)
"""In the order of `LP_PRIMARY` and `LP_BACKUP` in srt_streamid.c."""
