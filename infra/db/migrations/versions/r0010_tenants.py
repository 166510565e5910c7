"""Organisations, what API keys may do and for how long, and the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

KEY_COLUMNS = (
    ("previous_hash", sa.String(64)),
    ("previous_until_ms", sa.BigInteger),
    ("made_by", sa.String(64)),
    ("expires_ms", sa.BigInteger),
    ("revoked_ms", sa.BigInteger),
    ("last_used_ms", sa.BigInteger),
)
# What there is belongs to one organisation, whose first key was made at the first start.
FOUND = """
INSERT INTO organisations (id, name, created_ms)
SELECT 'default', 'Default organisation', (SELECT min(created_ms) FROM projects)
WHERE EXISTS (SELECT 1 FROM projects)
"""
FIRST_KEYS = "UPDATE api_keys SET organisation_wide = true WHERE name = 'bootstrap'"


def upgrade() -> None:
    op.create_table(
        "organisations",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_organisations"),
    )
    op.execute(FOUND)
    op.add_column(
        "projects",
        sa.Column("organisation", sa.String(64), nullable=False, server_default="default"),
    )
    op.create_index(
        "ix_projects_organisation_created_ms_id", "projects", ["organisation", "created_ms", "id"]
    )
    # A key from before may do what it could do.
    op.add_column("api_keys", sa.Column("scopes", sa.JSON, nullable=False, server_default='["*"]'))
    op.add_column(
        "api_keys",
        sa.Column("organisation_wide", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.execute(FIRST_KEYS)
    for name, kind in KEY_COLUMNS:
        op.add_column("api_keys", sa.Column(name, kind, nullable=True))
    op.create_index(
        "ix_api_keys_project_created_ms_id", "api_keys", ["project", "created_ms", "id"]
    )
    op.create_index("ix_api_keys_previous_hash", "api_keys", ["previous_hash"], unique=True)
    _audit()


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("project", sa.String(64), nullable=True),
        sa.Column("key", sa.String(64), nullable=True),
        sa.Column("ip", sa.String(64), nullable=False),
        sa.Column("operation", sa.String(200), nullable=False),
        sa.Column("event", sa.String(64), nullable=True),
        sa.Column("objects", sa.JSON, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("status", sa.BigInteger, nullable=False),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_project_created_ms_id", "audit", ["project", "created_ms", "id"])
    op.create_index("ix_audit_created_ms", "audit", ["created_ms"])


def downgrade() -> None:
    op.drop_table("audit")
    op.drop_index("ix_api_keys_previous_hash", "api_keys")
    op.drop_index("ix_api_keys_project_created_ms_id", "api_keys")
    for name, _ in reversed(KEY_COLUMNS):
        op.drop_column("api_keys", name)
    op.drop_column("api_keys", "organisation_wide")
    op.drop_column("api_keys", "scopes")
    op.drop_index("ix_projects_organisation_created_ms_id", "projects")
    op.drop_column("projects", "organisation")
    op.drop_table("organisations")
