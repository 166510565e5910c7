"""Public events, recorded with what they tell of, and numbered afterwards."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UNNUMBERED = sa.text("sequence IS NULL AND target IS NULL")
# SQLite counts up only a column that is called INTEGER.
COUNTED = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("position", COUNTED, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=True),
        sa.Column("event", sa.String(64), nullable=True),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("target", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("position", name="pk_outbox"),
        sa.UniqueConstraint("id", name="uq_outbox_id"),
        sa.UniqueConstraint("project", "sequence", name="uq_outbox_project_sequence"),
    )
    op.create_index(
        "ix_outbox_unnumbered",
        "outbox",
        ["project", "position"],
        sqlite_where=UNNUMBERED,
        postgresql_where=UNNUMBERED,
    )
    op.create_index("ix_outbox_at_ms", "outbox", ["at_ms"])
    op.create_table(
        "outbox_heads",
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project", name="pk_outbox_heads"),
    )


def downgrade() -> None:
    op.drop_table("outbox_heads")
    op.drop_table("outbox")
