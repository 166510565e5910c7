"""How far back the viewers of a live event can go; in earlier events not at all."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The default stays: a control process of the release before may still write rows.
    column = sa.Column("dvr_window_s", sa.BigInteger, nullable=False, server_default=sa.text("0"))
    op.add_column("events", column)


def downgrade() -> None:
    op.drop_column("events", "dvr_window_s")
