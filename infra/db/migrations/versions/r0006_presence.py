"""Which publishers of an event are connected; of earlier events none is known to be."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The defaults stay: a control process of the release before may still write rows.
    for name in ("primary_connected", "backup_connected"):
        column = sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())
        op.add_column("events", column)
    op.add_column("events", sa.Column("active_role", sa.String(16), nullable=True))


def downgrade() -> None:
    for name in ("active_role", "backup_connected", "primary_connected"):
        op.drop_column("events", name)
