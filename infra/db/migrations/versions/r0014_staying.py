"""Publishers that stay connected while their key is replaced."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("staying_generation", sa.BigInteger, nullable=True))


def downgrade() -> None:
    op.drop_column("events", "staying_generation")
