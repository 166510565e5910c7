"""Connections to Postgres that died while they lay in the pool."""

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.db import engine as engines
from infra.db.engine import async_engine
from tests.support.postgres import PostgresServer
from tests.support.processes import until

pytestmark = pytest.mark.integration
PID = text("SELECT pg_backend_pid()")


async def lost(engine: AsyncEngine, postgres: PostgresServer, *, noticed: bool) -> int:
    """The server process of a pooled connection, which the server has ended."""
    async with engine.connect() as connection:
        pid = (await connection.execute(PID)).scalar_one()
        driver = (await connection.get_raw_connection()).driver_connection
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", (pid,))
    if noticed:
        await until("the driver has heard", lambda: driver is not None and driver.is_closed())
    return int(pid)


@pytest.mark.parametrize("noticed", [True, False], ids=["heard of", "asked about"])
async def test_they_are_replaced_before_anybody_meets_them(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, noticed: bool
) -> None:
    monkeypatch.setattr(engines, "SILENT_S", 1e9 if noticed else 0.0)
    engine = async_engine(postgres.create_database())
    try:
        pid = await lost(engine, postgres, noticed=noticed)
        async with engine.connect() as connection:
            assert (await connection.execute(PID)).scalar_one() != pid
    finally:
        await engine.dispose()
