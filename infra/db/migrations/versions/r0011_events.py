"""What an event is scheduled with, and answers that are kept for requests sent twice."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# The defaults stay: a control process of the release before may still make events.
COLUMNS = (
    ("name_folded", sa.String(600), None),
    ("ends_at_ms", sa.BigInteger, None),
    ("time_zone", sa.String(64), None),
    ("lobby_opens_s", sa.BigInteger, "900"),
    ("auto_start", sa.String(16), "on_publish"),
    ("auto_end", sa.Boolean, sa.false()),
    ("end_grace_s", sa.BigInteger, "300"),
    ("due_ms", sa.BigInteger, None),
    ("on_air_ms", sa.BigInteger, None),
    ("latency", sa.String(16), "realtime"),
    ("labels", sa.JSON, "{}"),
    ("metadata", sa.JSON, "{}"),
    ("cold_functions", sa.JSON, None),
)
DUE = sa.text("due_ms IS NOT NULL")
# The clock finds out by itself what is due of an event that it looks at.
TO_LOOK_AT = "UPDATE events SET due_ms = 0 WHERE state = 'scheduled' AND starts_at_ms IS NOT NULL"


def upgrade() -> None:
    for name, kind, default in COLUMNS:
        column = sa.Column(name, kind, nullable=default is None, server_default=default)
        op.add_column("events", column)
    op.execute(TO_LOOK_AT)
    op.create_index("ix_events_due", "events", ["due_ms"], sqlite_where=DUE, postgresql_where=DUE)
    op.create_table(
        "kept_answers",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=True),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.BigInteger, nullable=False),
        sa.Column("headers", sa.JSON, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_kept_answers"),
    )
    op.create_index("ix_kept_answers_created_ms", "kept_answers", ["created_ms"])


def downgrade() -> None:
    # What the release before does not know is nearest to what it does.
    op.execute("UPDATE events SET state = 'scheduled' WHERE state = 'lobby'")
    op.execute("UPDATE events SET state = 'cancelled' WHERE state = 'draft'")
    op.drop_table("kept_answers")
    op.drop_index("ix_events_due", "events")
    for name, _, _ in reversed(COLUMNS):
        op.drop_column("events", name)
