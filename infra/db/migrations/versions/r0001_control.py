"""Projects, secrets, API keys, events and facts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("published_revision", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
    )
    op.create_table(
        "project_secrets",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("kid", sa.String(32), nullable=False),
        sa.Column("secret", sa.String(64), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project", "kid", name="pk_project_secrets"),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.id"], name="fk_project_secrets_project_projects"
        ),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.ForeignKeyConstraint(["project"], ["projects.id"], name="fk_api_keys_project_projects"),
        sa.UniqueConstraint("hash", name="uq_api_keys_hash"),
    )
    _events()
    op.create_table(
        "facts",
        sa.Column("id", sa.String(200), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_facts"),
    )
    op.create_index("ix_facts_project_event_at_ms", "facts", ["project", "event", "at_ms"])


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("access", sa.String(16), nullable=False),
        sa.Column("takeover", sa.Boolean, nullable=False),
        sa.Column("starts_at_ms", sa.BigInteger, nullable=True),
        sa.Column("reconnect_window_s", sa.BigInteger, nullable=False),
        sa.Column("target_duration_s", sa.BigInteger, nullable=False),
        sa.Column("kid", sa.String(32), nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("published_revision", sa.BigInteger, nullable=False),
        sa.Column("recording_degraded", sa.Boolean, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=True),
        sa.Column("ended_ms", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sa.ForeignKeyConstraint(["project"], ["projects.id"], name="fk_events_project_projects"),
    )
    op.create_index("ix_events_project_created_ms_id", "events", ["project", "created_ms", "id"])
    owed = sa.text("published_revision < revision")
    op.create_index("ix_events_owed", "events", ["id"], sqlite_where=owed, postgresql_where=owed)


def downgrade() -> None:
    for table in ("facts", "events", "api_keys", "project_secrets", "projects"):
        op.drop_table(table)
