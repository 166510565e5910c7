"""Webhooks: endpoints, deliveries, attempts."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

PENDING = sa.text("state = 'pending'")
# SQLite counts up only a column that is called INTEGER.
COUNTED = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("types", sa.JSON, nullable=False),
        sa.Column("description", sa.String(200), nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("disabled_reason", sa.String(300), nullable=True),
        sa.Column("secret", sa.String(120), nullable=False),
        sa.Column("old_secret", sa.String(120), nullable=True),
        sa.Column("old_until_ms", sa.BigInteger, nullable=True),
        sa.Column("failing_since_ms", sa.BigInteger, nullable=True),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
    )
    op.create_index(
        "ix_webhooks_project_created_ms_id", "webhooks", ["project", "created_ms", "id"]
    )
    _deliveries()
    op.create_table(
        "webhook_attempts",
        sa.Column("position", COUNTED, nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("delivery", sa.String(64), nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("status", sa.BigInteger, nullable=True),
        sa.Column("error", sa.String(300), nullable=True),
        sa.Column("excerpt", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_webhook_attempts"),
        sa.ForeignKeyConstraint(
            ["delivery"],
            ["webhook_deliveries.id"],
            name="fk_webhook_attempts_delivery_webhook_deliveries",
            ondelete="CASCADE",
        ),
        sa.UniqueConstraint("delivery", "number", name="uq_webhook_attempts_delivery_number"),
    )


def _deliveries() -> None:
    table = "webhook_deliveries"
    op.create_table(
        table,
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("webhook", sa.String(64), nullable=False),
        sa.Column("message", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt_count", sa.BigInteger, nullable=False),
        sa.Column("round_from", sa.BigInteger, nullable=False),
        sa.Column("round_ms", sa.BigInteger, nullable=False),
        sa.Column("next_attempt_ms", sa.BigInteger, nullable=True),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_ms", sa.BigInteger, nullable=False),
        sa.Column("delivered_ms", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.ForeignKeyConstraint(
            ["webhook"], ["webhooks.id"], name=f"fk_{table}_webhook_webhooks", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["message"], ["outbox.position"], name=f"fk_{table}_message_outbox", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("webhook", "message", name=f"uq_{table}_webhook_message"),
    )
    op.create_index(f"ix_{table}_message", table, ["message"])
    op.create_index(f"ix_{table}_webhook_created_ms_id", table, ["webhook", "created_ms", "id"])
    op.create_index(
        f"ix_{table}_due",
        table,
        ["webhook", "next_attempt_ms"],
        sqlite_where=PENDING,
        postgresql_where=PENDING,
    )


def downgrade() -> None:
    op.drop_table("webhook_attempts")
    op.drop_table("webhook_deliveries")
    op.drop_table("webhooks")
