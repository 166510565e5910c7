"""Viewer tokens that were called back."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "token_revocations",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("event", sa.String(64), nullable=False),
        sa.Column("token", sa.String(64), nullable=True),
        sa.Column("subject", sa.String(128), nullable=True),
        sa.Column("until_s", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_token_revocations"),
        sa.ForeignKeyConstraint(["event"], ["events.id"], name="fk_token_revocations_event_events"),
    )
    op.create_index(
        "ix_token_revocations_event_created_ms_id",
        "token_revocations",
        ["event", "created_ms", "id"],
    )


def downgrade() -> None:
    op.drop_table("token_revocations")
