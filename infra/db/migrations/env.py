"""Alembic environment: runs the revisions on the connection that `infra.db.engine` hands over.

On SQLite one transaction holds the whole upgrade, and `BEGIN IMMEDIATE` makes a second starter
wait. On Postgres every revision is a transaction of its own, which holds its locks for as short as
can be, and a lock of the session keeps other starters out (`infra.db.online`).
"""

from alembic import context
from sqlalchemy import Connection

from infra.db import audit, control, idempotency, jobs, markers, outbox, revocations, webhooks
from infra.db.base import Base
from infra.db.online import migrating_alone, patiently

# Importing a module of tables adds them to `Base.metadata`.
TABLES = (audit, control, idempotency, jobs, markers, outbox, revocations, webhooks)


def run(connection: Connection) -> None:
    """Run the revisions that the alembic command asks for."""
    if connection.dialect.name == "postgresql":
        with migrating_alone(connection):
            patiently(connection, lambda: _run_revisions(connection))
        return
    with connection.begin():
        _run_revisions(connection)


def _run_revisions(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        # SQLite rolls DDL back as well, once the driver leaves transactions alone.
        transactional_ddl=True,
        transaction_per_migration=connection.dialect.name == "postgresql",
    )
    with context.begin_transaction():
        context.run_migrations()


run(context.config.attributes["connection"])
