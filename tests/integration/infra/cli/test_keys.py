"""`livepath keys` against an API on a real socket."""

import json
from pathlib import Path

import pytest

from infra.control.bootstrap import create_project
from tests.integration.infra.cli.terminal import Terminal
from tests.integration.infra.control.conftest import KEY, Deployment

pytestmark = pytest.mark.integration


@pytest.fixture
def terminal(served: str, tmp_path: Path) -> Terminal:
    return Terminal("keys", served, KEY, tmp_path)


async def test_a_key_is_made_listed_rotated_and_revoked(
    terminal: Terminal, deployment: Deployment
) -> None:
    deployment.now_ms += 1
    key, secret = await terminal.lines(
        *("create", "chat [server]", "--scope", "events:read", "--scope", "markers:write"),
        *("--expires", "2031-01-01T00:00:00Z"),
    )
    line = (await terminal.lines("ls"))[1]
    assert line.split()[0] == key
    assert "chat [server]" in line
    assert "events:read markers:write" in line
    assert "2031-01-01" in line
    assert secret not in line
    again, other_secret = await terminal.lines("rotate", key, "--grace", "60")
    assert again == key
    assert other_secret != secret
    (revoked,) = await terminal.lines("revoke", key)
    assert revoked.startswith(f"{key}: revoked 2030-03-17")
    assert "revoked" in (await terminal.lines("ls"))[1]


async def test_a_key_for_another_project(terminal: Terminal, deployment: Deployment) -> None:
    with deployment.session() as session, session.begin():
        create_project(session, "second", "Second", deployment.now_ms)
    words = ("--project", "second", "create", "k", "--scope", "*", "--json")
    made = json.loads((await terminal.run(*words)).output)
    assert made["project"] == "second"
    listed = json.loads((await terminal.run("ls", "--json")).output)
    assert [one["name"] for one in listed] == ["bootstrap"]


async def test_a_refusal_is_said_in_a_line(terminal: Terminal) -> None:
    done = await terminal.run("create", "k", "--scope", "everything")
    assert done.exit_code == 1
    assert "body.scopes.0" in done.output
    assert (await terminal.run("rotate", "key_none")).exit_code == 1
