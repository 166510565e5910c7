"""`livepath projects` and `livepath orgs` against an API on a real socket."""

import json
from pathlib import Path

import pytest

from tests.integration.infra.cli.terminal import Terminal
from tests.integration.infra.control.conftest import KEY, OTHER_KEY, Deployment

pytestmark = pytest.mark.integration


@pytest.fixture
def projects(served: str, tmp_path: Path) -> Terminal:
    return Terminal("projects", served, KEY, tmp_path)


@pytest.fixture
def orgs(served: str, tmp_path: Path) -> Terminal:
    return Terminal("orgs", served, KEY, tmp_path)


async def test_projects_are_made_listed_and_renamed(
    projects: Terminal, deployment: Deployment
) -> None:
    deployment.now_ms += 1
    made = json.loads((await projects.run("create", "Foot[ball]", "--json")).output)
    assert (await projects.lines("ls"))[1].split()[:2] == [made["id"], "Foot[ball]"]
    await projects.lines("rename", made["id"], "Rugby")
    assert "Rugby" in "\n".join(await projects.lines("show", made["id"]))
    refused = await projects.run("create", "x", LIVEPATH_API_KEY=OTHER_KEY)
    assert (refused.exit_code, "whole organisation" in refused.output) == (1, True)


async def test_an_organisation_comes_with_what_opens_it(
    orgs: Terminal, projects: Terminal, deployment: Deployment
) -> None:
    deployment.now_ms += 1
    made = json.loads(
        (await orgs.run("create", "Ski club", "--first-project", "Races", "--json")).output
    )
    assert (await orgs.lines("ls"))[1].split()[0] == made["id"]
    await orgs.lines("rename", made["id"], "Board club")
    assert "Board club" in "\n".join(await orgs.lines("show", made["id"]))
    assert (await orgs.lines("projects", made["id"]))[1].split()[:2] == [
        made["project"]["id"], "Races",
    ]  # fmt: skip
    theirs = await projects.run("ls", "--json", LIVEPATH_API_KEY=made["key"]["secret"])
    assert [one["name"] for one in json.loads(theirs.output)] == ["Races"]
    assert made["key"]["secret"] not in (await orgs.run("show", made["id"], "--json")).output
