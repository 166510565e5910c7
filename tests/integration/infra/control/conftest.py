"""One control deployment per test: a migrated database of each kind, two projects of two
organisations, a set clock."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from infra.control.bootstrap import add_api_key, bootstrap, create_project
from infra.control.context import ControlContext, Databases
from infra.control.links import Links
from infra.control.objects import Objects
from infra.control.presign import Presigner
from infra.control.streaming import Streams
from infra.control.viewing import Viewing
from infra.db.engine import READ_ONLY
from infra.storage.memory import MemoryObjectStore
from infra.webhooks.guard import Allowed, Guard
from tests.support.control_app import app_with
from tests.support.databases import kept_engines

KEY = "lp_default_key_of_the_tests"
OTHER_KEY = "lp_other_key_of_the_tests"
NOW_MS = 1_900_000_000_000


@dataclass
class Deployment:
    """What tests reach into: the app, both kinds of database access, bucket, clock and bell."""

    url: str
    engine: Engine
    databases: Databases
    now_ms: int = NOW_MS
    rings: int = 0
    tellings: int = 0
    bucket: MemoryObjectStore = field(default_factory=MemoryObjectStore)
    app: FastAPI = field(default_factory=FastAPI)

    def clock(self) -> int:
        return self.now_ms

    def ring(self) -> None:
        self.rings += 1

    async def told(self) -> None:
        self.tellings += 1

    def session(self) -> Session:
        """For adding what other roles would add."""
        return Session(self.engine, expire_on_commit=False)

    def reading(self) -> Session:
        """For looking at rows; never waits for a transaction that this thread's loop holds open."""
        return Session(self.engine.execution_options(**READ_ONLY), expire_on_commit=False)

    @property
    def context(self) -> ControlContext:
        return cast("ControlContext", self.app.state.context)

    async def settle(self) -> None:
        """Write what waits to be written beside the requests."""
        await self.context.trail.flush(self.databases.writing)
        await self.context.uses.flush(self.databases.writing)

    def client(self, key: str | None = None) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.app, raise_app_exceptions=True),
            base_url="http://control.test",
            headers={} if key is None else {"Authorization": f"Bearer {key}"},
        )


def resolved(host: str, _port: int) -> Sequence[str]:
    """A name service that knows two names, and addresses."""
    known = {"hooks.example": ["93.184.215.14"], "inner.example": ["10.0.0.7"]}
    if host in known:
        return known[host]
    if host.endswith(".example"):
        raise OSError("no such name")
    return [host]


@pytest.fixture
def s3_for_presigning() -> str:
    return "s3://key:secret@livepath?endpoint=http://127.0.0.1:1"


@pytest.fixture
async def deployment(migrated_url: str, s3_for_presigning: str) -> AsyncIterator[Deployment]:
    async with kept_engines(migrated_url) as (engine, asynchronous):
        made = Deployment(migrated_url, engine, Databases.of(asynchronous))
        _fill(made)
        presigner, objects = Presigner(s3_for_presigning), Objects(lambda: made.bucket)
        guard = Guard(Allowed(), resolved)
        made.app = app_with(_context(made, presigner, objects, guard))
        yield made
        presigner.close()
        objects.close()
        guard.close()


def _fill(made: Deployment) -> None:
    bootstrap(made.engine, KEY, NOW_MS)
    with Session(made.engine) as session, session.begin():
        create_project(session, "other", "Other", NOW_MS, organisation="others")
        add_api_key(session, "other", OTHER_KEY, "test", NOW_MS)


def _context(
    made: Deployment, presigner: Presigner, objects: Objects, guard: Guard
) -> ControlContext:
    return ControlContext(
        databases=made.databases,
        links=Links(
            public_url="http://control.test",
            media_url="http://media.test",
            srt_url="srt://media.test:8082",
            srt_latency_ms=120,
        ),
        presigner=presigner,
        objects=objects,
        viewing=Viewing(made.databases.reading, made.clock),
        ring=made.ring,
        checks={"database": lambda: None, "bus": lambda: "no bus here"},
        now_ms=made.clock,
        guard=guard,
        streams=Streams(made.databases.reading, interval_s=0.05),
        told=made.told,
    )


@pytest.fixture
async def api(deployment: Deployment) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the key of project `default`."""
    async with deployment.client(KEY) as client:
        yield client


@pytest.fixture
async def other(deployment: Deployment) -> AsyncIterator[httpx2.AsyncClient]:
    """A client with the key of another project."""
    async with deployment.client(OTHER_KEY) as client:
        yield client


@pytest.fixture
async def viewer(deployment: Deployment) -> AsyncIterator[httpx2.AsyncClient]:
    """A client without a key."""
    async with deployment.client() as client:
        yield client


@pytest.fixture
async def served(deployment: Deployment) -> AsyncIterator[str]:
    """The API on a real socket; its URL."""
    config = uvicorn.Config(deployment.app, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # In the test's own loop: connections to the database belong to the loop that made them.
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving
