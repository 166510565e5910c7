"""Ed25519 keys that viewer tokens are signed with."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "signing_keys",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("private", sa.String(64), nullable=False),
        sa.Column("public", sa.String(64), nullable=False),
        sa.Column("signs_from_ms", sa.BigInteger, nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_signing_keys"),
        sa.ForeignKeyConstraint(
            ["project"], ["projects.id"], name="fk_signing_keys_project_projects"
        ),
    )
    op.create_index(
        "ix_signing_keys_project_signs_from_ms_id",
        "signing_keys",
        ["project", "signs_from_ms", "id"],
    )


def downgrade() -> None:
    op.drop_table("signing_keys")
