"""Keys of the whole installation, which make organisations."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Keys that no other key made are those of the installation's key file.
FIRST_KEYS = """
UPDATE api_keys SET installation_wide = true
WHERE name = 'bootstrap' AND made_by IS NULL AND organisation_wide AND project = 'default'
"""


def upgrade() -> None:
    op.add_column(
        "api_keys",
        sa.Column("installation_wide", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.execute(FIRST_KEYS)


def downgrade() -> None:
    op.drop_column("api_keys", "installation_wide")
