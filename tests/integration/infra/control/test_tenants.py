"""A key opens one project, on every route there is; what exists in another is not there.

The routes come from the app. A new one needs an entry here only where it names something by an id
that `World` does not make, takes a body, or takes no key.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from sqlalchemy import select
from sqlalchemy.orm import Session

from infra.auth.apikeys import hash_api_key
from infra.auth.scopes import KEY_SCHEME, Scope, required
from infra.control.bootstrap import add_api_key, create_project
from infra.control.ids import new_id
from infra.control.problems import NotFound
from infra.control.streaming import Listener, Streams
from infra.db.base import Base
from infra.db.control import ApiKey
from tests.integration.infra.control.conftest import KEY, OTHER_KEY, Deployment
from tests.integration.infra.control.rows import add_asset, add_delivery, add_job

pytestmark = pytest.mark.integration

OPEN = {
    *("/openapi.json", "/.well-known/jwks.json"),
    *("/metrics", "/healthz", "/readyz"),
    *("/", "/watch/{event}", "/vod/{event}", "/publish/{event}", "/clock", "/static/{name:path}"),
    "/operator",
    *(
        f"{token}/{area}/{{rest:path}}"
        for token, area in product(("", "/t/{token}"), ("vod", "live", "work"))
    ),
    "/v1/playback/{event}",
    "/v1/playback/{event}/access",
    "/v1/playback/{event}/recording",
    "/v1/playback/{event}/clips",
    "/v1/playback/{event}/clips/{clip}",
    "/v1/publish/{event}",
}
"""Routes without an API key: for viewers, publishers, browsers and operators."""
ENDLESS = {"/v1/stream", "/v1/readings/stream"}
"""Their answers do not end, so nobody who may read them is let in here."""
MARKERS = "/v1/events/{event}/markers"
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/v1/events"): {"name": "theirs"},
    ("PATCH", "/v1/events/{event}"): {"name": "stolen"},
    ("POST", MARKERS): {"kind": "poll"},
    ("PATCH", MARKERS + "/{marker}"): {"end": "now"},
    ("POST", "/v1/events/{event}/jobs"): {"function": "clip-instant"},
    ("POST", "/v1/events/{event}/clips"): {"start": 1, "end": 2},
    ("PUT", "/v1/events/{event}/replay"): {"entries": []},
    ("POST", "/v1/keys"): {"name": "theirs", "scopes": ["events:read"]},
    ("POST", "/v1/projects"): {"name": "theirs"},
    ("PATCH", "/v1/projects/{project}"): {"name": "stolen"},
    ("POST", "/v1/organisations"): {"name": "theirs"},
    ("PATCH", "/v1/organisations/{organisation}"): {"name": "stolen"},
    ("POST", "/v1/events/{event}/revocations"): {"everybody": True},
    ("POST", "/v1/events/{event}/tier-changes"): {"subject": "ada", "tier": "broadcast"},
    ("PUT", "/v1/nodes/{node}/drain"): {},
    ("POST", "/v1/webhooks"): {"url": "https://hooks.example/theirs"},
    ("PATCH", "/v1/webhooks/{webhook}"): {"enabled": False},
    ("POST", "/v1/webhooks/{webhook}/replay"): {
        "since": "2030-01-01T00:00:00Z",
        "until": "2031-01-01T00:00:00Z",
    },
}
"""A valid one for every route that must have one, so that no 422 hides what comes after."""
MORE_THAN_A_SCOPE = {
    *(("POST", "/v1/keys"), ("POST", "/v1/projects"), ("POST", "/v1/organisations")),
    ("GET", "/v1/nodes"),
}
"""They ask for rights that a key with one scope does not have."""
NO_KEYS = (
    None,
    "",
    "Bearer",
    "Bearer ",
    "Bearer wrong",
    "Basic bHA6eA==",
    "lp_default_key_of_the_tests",
)
"""Authorization headers, the first of which is none."""
SECRET = "hush-hush"
"""In every text of tenant A."""
NEIGHBOUR_KEY, FOREIGN_KEY = "lp_neighbour_key_of_the_tests", "lp_foreign_key_of_the_tests"


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    route: APIRoute | None
    """None: a route that the API's description does not have."""

    @property
    def names(self) -> list[str]:
        """What the path names by id."""
        return [part.strip("{}") for part in self.path.split("/") if part.startswith("{")]

    @property
    def body(self) -> Any:
        body = BODIES.get((self.method, self.path))
        field = None if self.route is None else self.route.body_field
        if body is None and field is not None and field.field_info.is_required():
            pytest.fail(f"{self.method} {self.path} takes a body: add one to BODIES")
        return body

    def scope(self) -> Scope:
        assert self.route is not None
        scope = required(str(self.route.tags[-1]), self.method, self.path)
        assert scope is not None
        return scope


def operations(app: FastAPI) -> Iterator[Operation]:
    """Every method of every route of the app."""
    for found in iter_route_contexts(app.routes):
        route = found.original_route
        for method in sorted((found.methods or set()) - {"HEAD", "OPTIONS"}):
            assert found.path is not None
            yield Operation(method, found.path, route if isinstance(route, APIRoute) else None)


def keyed(app: FastAPI) -> list[Operation]:
    return [one for one in operations(app) if one.path not in OPEN]


@dataclass(frozen=True)
class World:
    """What tenant A has, by the names of path parameters."""

    ids: dict[str, str]

    def url(self, operation: Operation, ids: dict[str, str] | None = None) -> str:
        known = self.ids if ids is None else ids
        unknown = set(operation.names) - known.keys()
        if unknown:
            pytest.fail(f"{operation.path} names {unknown}: let tenant A have one, in `world`")
        return operation.path.format(**known)

    @property
    def absent(self) -> dict[str, str]:
        """As many ids that name nothing."""
        return {name: f"{name}_absent" for name in self.ids}


@pytest.fixture
async def world(deployment: Deployment, api: httpx2.AsyncClient) -> World:
    """One of everything in project `default`, and keys of three others that look at it."""
    posted = await api.post("/v1/events", json={"name": SECRET, "access": "token"})
    event = posted.json()["id"]
    marker = await api.post(f"/v1/events/{event}/markers", json={"kind": "poll", "title": SECRET})
    key = await api.post("/v1/keys", json={"name": SECRET, "scopes": ["events:read"]})
    hook = {"url": "https://hooks.example/ours", "description": SECRET}
    webhook = (await api.post("/v1/webhooks", json=hook)).json()["id"]
    signing_key = await api.post("/v1/signing-keys")
    # Every project counts its secrets alike: so many that no stranger gets as far.
    secrets = [await api.post("/v1/secrets") for _ in range(3)]
    delivery = add_delivery(deployment, webhook)
    job = add_job(deployment, event)
    add_asset(deployment, event, job)
    with Session(deployment.engine) as session, session.begin():
        now = deployment.now_ms
        create_project(session, "neighbour", "Next door", now)
        add_api_key(session, "neighbour", NEIGHBOUR_KEY, "test", now)
        add_api_key(session, "other", FOREIGN_KEY, "test", now, organisation_wide=True)
    return World(
        {
            "project": "default",
            "organisation": "default",
            "event": event,
            "marker": marker.json()["id"],
            "key": key.json()["id"],
            "signing_key": signing_key.json()["id"],
            "kid": secrets[-1].json()["kid"],
            "job": job,
            "clip": job.replace("job", "clip"),
            "webhook": webhook,
            "delivery": delivery,
            "node": "media-a",
        }
    )


def rows_of(deployment: Deployment, project: str) -> dict[str, list[str]]:
    """Everything in the database that is the project's."""
    kept: dict[str, list[str]] = {}
    with deployment.engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            owns = table.name in ("projects", "organisations")
            owner = table.c.id if owns else table.c.get("project")
            if owner is not None:
                found = connection.execute(select(table).where(owner == project))
                kept[table.name] = sorted(str(tuple(row)) for row in found)
    return kept


STRANGERS = {
    "another organisation": {"Authorization": f"Bearer {OTHER_KEY}"},
    "another organisation that names the project": {
        "Authorization": f"Bearer {FOREIGN_KEY}",
        "Livepath-Project": "default",
    },
    "another project of the organisation": {"Authorization": f"Bearer {NEIGHBOUR_KEY}"},
}


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_nothing_of_a_tenant_is_shown_to_or_changed_by_another(
    deployment: Deployment, viewer: httpx2.AsyncClient, world: World, stranger: str
) -> None:
    headers = STRANGERS[stranger]
    before = rows_of(deployment, "default")
    assert {"events", "markers", "jobs", "job_attempts", "assets", "api_keys"} <= {
        table for table, rows in before.items() if rows
    }
    tried = [one for one in keyed(deployment.app) if one.path not in ENDLESS]
    assert len(tried) >= 25
    for one in tried:
        url = world.url(one)
        # Filters by what tenant A has, too.
        response = await viewer.request(
            one.method, url, headers=headers, json=one.body, params=_filters(one, world)
        )
        told = response.text.replace('"organisation":"default"', "")
        if one.names:
            assert response.status_code in (403, 404), (one, response.status_code, told)
            for id in world.ids.values():
                told = told.replace(repr(id), "").replace(f"/{id}", "")
        assert SECRET not in told, one
        assert not [id for id in world.ids.values() if f'"{id}"' in told], one
        assert response.status_code < 500, (one, told)
    assert rows_of(deployment, "default") == before


def _filters(operation: Operation, world: World) -> dict[str, str]:
    if operation.route is None or operation.method != "GET":
        return {}
    known = {field.alias for field in operation.route.dependant.query_params}
    return {name: id for name, id in world.ids.items() if name in known}


async def test_not_even_the_wording_tells_anothers_from_none_at_all(
    deployment: Deployment, other: httpx2.AsyncClient, world: World
) -> None:
    same = {"X-Request-Id": "the-same"}
    for one in keyed(deployment.app):
        if not one.names:
            continue
        ask = {"headers": same, "json": one.body}
        response = await other.request(one.method, world.url(one), **ask)
        unknown = await other.request(one.method, world.url(one, world.absent), **ask)
        assert response.status_code == unknown.status_code == 404, (one, response.text)
        told = response.text
        for name in one.names:
            told = told.replace(world.ids[name], world.absent[name])
        assert told == unknown.text


async def test_without_a_valid_key_nothing_is_shown(
    deployment: Deployment, viewer: httpx2.AsyncClient, world: World
) -> None:
    for number, one in enumerate(keyed(deployment.app)):
        # Every route without a key, and every way of having none on some route.
        for header in {None, NO_KEYS[number % len(NO_KEYS)]}:
            headers = {} if header is None else {"Authorization": header}
            url = world.url(one)
            response = await viewer.request(one.method, url, headers=headers, json=one.body)
            assert response.status_code == 401, (one, header)
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
            assert response.headers["Content-Type"] == "application/problem+json"


def test_the_open_routes_are_those_that_are_written_down(deployment: Deployment) -> None:
    found = list(operations(deployment.app))
    assert {one.path for one in found} >= OPEN
    described = [one for one in found if one.route is not None and one.path.startswith("/v1/")]
    assert len(described) >= 30
    for one in described:
        assert one.route is not None
        needs_none = required(str(one.route.tags[-1]), one.method, one.path) is None
        assert needs_none == (one.path in OPEN), one
    assert not [one for one in found if one.route is None and one.path not in OPEN]


def test_the_description_says_which_scope(deployment: Deployment) -> None:
    described = deployment.app.openapi()["paths"]
    for one in keyed(deployment.app):
        assert described[one.path][one.method.lower()]["security"] == [{KEY_SCHEME: [one.scope()]}]
    for path in OPEN & described.keys():
        for operation in described[path].values():
            # A viewer's or a publisher's token, if any.
            assert "API key" not in str(operation.get("security"))


async def test_who_is_refused_waits_for_nobody(
    deployment: Deployment, viewer: httpx2.AsyncClient
) -> None:
    with deployment.session() as session, session.begin():
        # On SQLite nobody else writes meanwhile.
        session.execute(select(ApiKey.id).with_for_update())
        refused = await viewer.post("/v1/events", json={"name": "x"})
    assert refused.status_code == 401


async def test_who_has_transactions_of_their_own_holds_no_other(
    deployment: Deployment, api: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []

    async def join(_self: Streams, _project: str, _sequence: int | None) -> Listener:
        pool = deployment.databases.reading.kw["bind"].pool
        held.append(pool.checkedout())
        raise NotFound("no stream here", "Look elsewhere.")

    monkeypatch.setattr(Streams, "join", join)
    assert (await api.get("/v1/stream")).status_code == 404
    assert held == [0]


async def test_a_key_does_what_its_scopes_say_and_no_more(
    deployment: Deployment, viewer: httpx2.AsyncClient, world: World
) -> None:
    with Session(deployment.engine) as session, session.begin():
        for scope in Scope:
            others = [one.value for one in Scope if one not in (scope, Scope.ALL)]
            _add_key(session, f"lp_only_{scope}_key_of_the_tests", [scope.value])
            _add_key(session, f"lp_all_but_{scope}_key_of_the_tests", others)
    for one in keyed(deployment.app):
        scope = one.scope()
        lacking = {"Authorization": f"Bearer lp_all_but_{scope}_key_of_the_tests"}
        url = world.url(one, world.absent)
        refused = await viewer.request(one.method, url, headers=lacking, json=one.body)
        assert refused.status_code == 403, (one, refused.text)
        assert refused.json()["type"] == "urn:livepath:problem:missing-scope"
        assert scope in refused.json()["fix"]
        if one.path in ENDLESS or (one.method, one.path) in MORE_THAN_A_SCOPE:
            continue
        having = {"Authorization": f"Bearer lp_only_{scope}_key_of_the_tests"}
        allowed = await viewer.request(one.method, url, headers=having, json=one.body)
        assert allowed.status_code not in (401, 403), (one, allowed.text)


def _add_key(session: Session, secret: str, scopes: list[str]) -> None:
    session.add(
        ApiKey(
            id=new_id("key_"), project="default", hash=hash_api_key(secret), name="test",
            scopes=scopes, created_ms=0,
        )
    )  # fmt: skip


async def test_lists_hold_only_what_is_ones_own(
    api: httpx2.AsyncClient, other: httpx2.AsyncClient, world: World
) -> None:
    for path in ("/v1/events", "/v1/jobs", f"/v1/jobs?event={world.ids['event']}"):
        assert len((await api.get(path)).json()["items"]) == 1
        assert (await other.get(path)).json() == {"items": [], "next": None}


async def test_a_cursor_of_another_project_shows_nothing(
    api: httpx2.AsyncClient, other: httpx2.AsyncClient
) -> None:
    for number in range(3):
        await api.post("/v1/events", json={"name": f"E{number}"})
    cursor = (await api.get("/v1/events?limit=1")).json()["next"]
    assert (await other.get("/v1/events", params={"after": cursor})).json()["items"] == []


async def test_two_projects_derive_from_two_secrets(
    api: httpx2.AsyncClient, other: httpx2.AsyncClient
) -> None:
    mine = (await api.post("/v1/events", json={"name": "a"})).json()
    theirs = (await other.post("/v1/events", json={"name": "b"})).json()
    assert theirs["playback"]["hls_url"].startswith("http://media.test/live/other/")
    assert mine["ingest"]["srt"]["passphrase"] != theirs["ingest"]["srt"]["passphrase"]


async def test_keys_are_not_stored(deployment: Deployment, world: World) -> None:
    with deployment.session() as session:
        stored = [str(vars(row)) for row in session.scalars(select(ApiKey))]
    assert len(stored) == 5
    for text, secret in product(stored, (KEY, OTHER_KEY, NEIGHBOUR_KEY, FOREIGN_KEY)):
        assert secret not in text
