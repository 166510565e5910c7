"""Renditions of an event beside its source; earlier events have none."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The default stays: a control process of the release before may still write rows.
    none = sa.text("'[]'")
    op.add_column("events", sa.Column("renditions", sa.JSON, nullable=False, server_default=none))


def downgrade() -> None:
    op.drop_column("events", "renditions")
