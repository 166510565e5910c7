"""Alembic environment: runs the revisions on the connection that `infra.db.engine` hands over.

One transaction holds the whole upgrade. On SQLite `BEGIN IMMEDIATE` makes a second starter wait;
on Postgres an advisory lock does.
"""

from alembic import context
from sqlalchemy import Connection, text

from infra.db import audit, control, idempotency, jobs, markers, outbox, revocations, webhooks
from infra.db.base import Base

# Importing a module of tables adds them to `Base.metadata`.
TABLES = (audit, control, idempotency, jobs, markers, outbox, revocations, webhooks)
LOCK = 0x4C495645  # "LIVE"


def run(connection: Connection) -> None:
    """Run the revisions that the alembic command asks for."""
    with connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_as_batch=connection.dialect.name == "sqlite",
            # SQLite rolls DDL back as well, once the driver leaves transactions alone.
            transactional_ddl=True,
        )
        context.run_migrations()


run(context.config.attributes["connection"])
