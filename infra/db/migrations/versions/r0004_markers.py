"""Markers on the timelines of events."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "markers",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("title", sa.String(120), nullable=True),
        sa.Column("start_ms", sa.BigInteger, nullable=False),
        sa.Column("end_ms", sa.BigInteger, nullable=True),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("idempotency_key", sa.String(128), nullable=True),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_markers"),
        sa.ForeignKeyConstraint(["event"], ["events.id"], name="fk_markers_event_events"),
        sa.UniqueConstraint("event", "idempotency_key", name="uq_markers_event_idempotency_key"),
    )
    op.create_index("ix_markers_event_created_ms_id", "markers", ["event", "created_ms", "id"])


def downgrade() -> None:
    op.drop_table("markers")
