"""Tiers of viewers that change while they watch."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tier_changes",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("tier", sa.String(16), nullable=False),
        sa.Column("cap", sa.String(16), nullable=True),
        sa.Column("until_s", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tier_changes"),
        sa.ForeignKeyConstraint(["event"], ["events.id"], name="fk_tier_changes_event_events"),
    )
    op.create_index(
        "ix_tier_changes_event_created_ms_id", "tier_changes", ["event", "created_ms", "id"]
    )
    op.create_index(
        "ix_tier_changes_event_subject", "tier_changes", ["event", "subject"], unique=True
    )


def downgrade() -> None:
    op.drop_table("tier_changes")
