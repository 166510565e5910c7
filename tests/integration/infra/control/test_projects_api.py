"""Projects of an organisation: made through the API, with a secret of their own."""

import json

import httpx2
import pytest
from sqlalchemy import select

from infra.control import projects
from infra.control.publisher import DesiredPublisher
from infra.db.control import Project, ProjectSecret
from infra.events.bus import connect
from infra.events.desired import project_field
from infra.events.desired_bus import DesiredBus
from tests.integration.infra.control.conftest import Deployment
from tests.support.valkey import ValkeyServer

pytestmark = pytest.mark.integration


async def test_a_new_project_is_owed_to_the_media_nodes(
    deployment: Deployment, api: httpx2.AsyncClient
) -> None:
    rung = deployment.rings
    response = await api.post("/v1/projects", json={"name": "Football"})
    assert response.status_code == 201
    project = response.json()
    assert project["organisation"] == "default"
    assert (await api.get(response.headers["Location"])).json() == project
    assert deployment.rings == rung + 1
    with deployment.reading() as session:
        row = session.get_one(Project, project["id"])
        assert row.published_revision < row.revision
        secrets = session.scalars(select(ProjectSecret.secret)).all()
    assert len(set(secrets)) == 3
    here = {"Livepath-Project": project["id"]}
    event = await api.post("/v1/events", json={"name": "x"}, headers=here)
    assert f"/live/{project['id']}/" in event.json()["playback"]["hls_url"]
    assert (await api.get("/v1/events")).json()["items"] == []


async def test_media_nodes_learn_of_a_new_project(
    deployment: Deployment, api: httpx2.AsyncClient, valkey: ValkeyServer
) -> None:
    async with connect(valkey.url) as client:
        bus = DesiredBus(client)
        publisher = DesiredPublisher(bus, deployment.databases, deployment.clock)
        await publisher.publish()
        made = (await api.post("/v1/projects", json={"name": "Football"})).json()["id"]
        await publisher.publish()
        held = await bus.held()
    with deployment.reading() as session:
        row = session.scalars(select(ProjectSecret).where(ProjectSecret.project == made)).one()
        project = session.get_one(Project, made)
        assert project.published_revision == project.revision
    assert json.loads(held[project_field(made)])["secrets"] == {row.kid: row.secret}


async def test_a_key_sees_the_projects_that_it_opens(
    deployment: Deployment, api: httpx2.AsyncClient, other: httpx2.AsyncClient
) -> None:
    made = (await api.post("/v1/projects", json={"name": "Football"})).json()["id"]
    listed = [one["id"] for one in (await api.get("/v1/projects")).json()["items"]]
    assert sorted(listed) == sorted(["default", made])
    assert [one["id"] for one in (await other.get("/v1/projects")).json()["items"]] == ["other"]
    wanted = {"name": "k", "scopes": ["*"]}
    key = (await api.post("/v1/keys", json=wanted, headers={"Livepath-Project": made})).json()
    assert key["project"] == made
    async with deployment.client(key["secret"]) as client:
        assert [one["id"] for one in (await client.get("/v1/projects")).json()["items"]] == [made]
        assert (await client.get("/v1/projects/default")).status_code == 404
        refused = await client.post("/v1/projects", json={"name": "x"})
    assert refused.status_code == 403
    assert "whole organisation" in refused.json()["fix"]


async def test_an_organisation_has_room_for_so_many(
    api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projects, "MAX_PROJECTS", 2)
    assert (await api.post("/v1/projects", json={"name": "x"})).status_code == 201
    assert (await api.post("/v1/projects", json={"name": "x"})).status_code == 409


async def test_a_project_is_renamed(api: httpx2.AsyncClient) -> None:
    renamed = await api.patch("/v1/projects/default", json={"name": "Main"})
    assert renamed.json()["name"] == "Main"
    assert (await api.get("/v1/projects/default")).json() == renamed.json()
    assert (await api.patch("/v1/projects/default", json={})).status_code == 422
