"""The policy as a table, and the page that shows it."""

import itertools
import re
from pathlib import Path as File

import pytest

from infra.auth.policy import LEAST, ROLES, ROOM, TIERS, Load, Path, Role, Tier, decide, under

PAGE = File(__file__).parents[4] / "docs" / "access.md"


@pytest.mark.parametrize(
    ("role", "tier", "path", "priority"),
    [
        (Role.VIEWER, None, Path.BOTH, 0),
        (Role.INTERACTIVE, None, Path.BOTH, 1),
        (Role.BACKSTAGE, None, Path.WHEP, 2),
        (Role.MODERATOR, None, Path.BOTH, 3),
        (Role.HOST, None, Path.BOTH, 4),
        (Role.VIEWER, Tier.BROADCAST, Path.HLS, 0),
        (Role.VIEWER, Tier.INTERACTIVE, Path.BOTH, 1),
        (Role.VIEWER, Tier.BACKSTAGE, Path.WHEP, 2),
        (Role.HOST, Tier.BROADCAST, Path.HLS, 4),
        (Role.MODERATOR, Tier.BACKSTAGE, Path.WHEP, 3),
    ],
)
def test_what_role_and_tier_entitle_to(
    role: Role, tier: Tier | None, path: Path, priority: int
) -> None:
    rights = decide(role, tier)
    assert (rights.path, rights.cap, rights.priority) == (path, None, priority)


@pytest.mark.parametrize(
    ("role", "load", "path"),
    [
        (Role.VIEWER, Load(full=True), Path.HLS),
        (Role.VIEWER, Load(full=True, lowest=0), Path.HLS),
        (Role.INTERACTIVE, Load(full=True, lowest=0), Path.BOTH),
        (Role.INTERACTIVE, Load(full=True, lowest=1), Path.HLS),
        (Role.BACKSTAGE, Load(full=True, lowest=1), Path.WHEP),
        (Role.BACKSTAGE, Load(full=True, lowest=2), Path.NOTHING),
        (Role.HOST, Load(full=True, lowest=3), Path.BOTH),
        (Role.HOST, Load(full=True, lowest=4), Path.HLS),
        (Role.VIEWER, Load(full=False, lowest=4), Path.BOTH),
    ],
)
def test_what_is_left_of_it_on_a_full_node(role: Role, load: Load, path: Path) -> None:
    assert decide(role, load=load).path is path


def test_nobody_has_a_lower_priority_than_the_least() -> None:
    assert min(decide(role, tier).priority for role in Role for tier in Tier) == LEAST


def test_load_takes_the_way_and_nothing_else() -> None:
    full = Load(full=True)
    for role, tier in itertools.product(Role, (None, *Tier)):
        free = decide(role, tier, "720p")
        pressed = under(free, full)
        assert (pressed.cap, pressed.priority) == ("720p", free.priority)
        assert pressed.path.hls == free.path.hls
        assert not pressed.path.whep
        assert under(free, ROOM) == free


@pytest.mark.parametrize(
    ("path", "transports"),
    [
        (Path.NOTHING, []),
        (Path.HLS, ["hls"]),
        (Path.WHEP, ["whep"]),
        (Path.BOTH, ["whep", "hls"]),
    ],
)
def test_players_are_told_the_better_way_first(path: Path, transports: list[str]) -> None:
    assert path.transports == transports


def rows(heading: str) -> list[list[str]]:
    """The table below a heading of the page, without its own."""
    section = PAGE.read_text().split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[re.sub("`", "", cell.strip()) for cell in line.split("|")[1:-1]] for line in lines]


def test_the_page_has_the_table_of_roles() -> None:
    said = [row[:3] for row in rows("Roles")]
    assert said == [[role, row.tier, str(row.priority)] for role, row in ROLES.items()]


def test_the_page_has_the_table_of_tiers() -> None:
    said = [row[:3] for row in rows("Tiers")]
    assert said == [[tier, row.path, str(row.priority)] for tier, row in TIERS.items()]
