"""Every command has help with an example that would run, is documented, and starts light."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from infra.cli.app import app

ROOT = Path(__file__).parents[4]
GROUPS = ("events", "jobs", "webhooks", "keys", "secrets", "projects", "orgs", "nodes")
PAGES = [ROOT / "README.md", ROOT / "examples" / "README.md", *(ROOT / "docs").glob("*.md")]
NAMED = re.compile(rf"livepath ({'|'.join(GROUPS)}) ([a-z][a-z-]+)")
HEAVY = ("httpx2", "pydantic", "sqlalchemy", "rich", "infra.client", "infra.supervisor")
"""What only commands that run may import."""


def commands() -> Iterator[tuple[str, Any]]:
    """Those over the API, by the words that call them."""
    root: Any = get_command(app)
    for group in GROUPS:
        for name, command in root.commands[group].commands.items():
            yield f"{group} {name}", command


COMMANDS = dict(commands())


@pytest.mark.parametrize("words", COMMANDS)
def test_the_example_of_a_command_is_one_of_it(words: str) -> None:
    command = COMMANDS[words]
    example = re.fullmatch(r"Example: `livepath (.*)`", command.epilog or "")
    assert example is not None
    group, name, *given = shlex.split(example[1])
    assert f"{group} {name}" == words
    # Raises for what the command does not know, and for what it lacks.
    command.make_context(name, given)


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_can_answer_in_json_and_says_what_it_does(words: str) -> None:
    command = COMMANDS[words]
    assert "--json" in {option for one in command.params for option in one.opts}
    assert command.help
    said = [one for one in command.params if not getattr(one, "help", None)]
    assert [one.name for one in said] == []


@pytest.mark.parametrize("words", ["events create", "webhooks listen", *GROUPS])
def test_help_needs_no_api(words: str) -> None:
    shown = CliRunner().invoke(app, [*words.split(), "--help"], env={"COLUMNS": "200"})
    assert (shown.exit_code, "Usage" in shown.output) == (0, True)


def test_the_page_has_every_command() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    assert [words for words in COMMANDS if f"livepath {words}" not in page] == []


def test_commands_that_pages_name_exist() -> None:
    named = {
        (page.name, f"{match[1]} {match[2]}")
        for page in PAGES
        for match in NAMED.finditer(page.read_text())
    }
    assert len(named) > len(COMMANDS)
    assert {(page, words) for page, words in named if words not in COMMANDS} == set()


def test_commands_are_known_before_anything_heavy_is_imported() -> None:
    code = f"import sys, infra.cli.app; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
