"""Functions by name, jobs that clients ask for, checkpoints and logs of attempts."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The defaults stay: a dispatcher of the release before may still file jobs.
    op.add_column(
        "jobs", sa.Column("timeout_s", sa.BigInteger, nullable=False, server_default="3600")
    )
    op.add_column("jobs", sa.Column("params", sa.JSON, nullable=False, server_default="{}"))
    op.add_column("jobs", sa.Column("checkpoint", sa.JSON, nullable=True))
    op.add_column("job_attempts", sa.Column("log", sa.Text, nullable=True))
    op.create_table(
        "functions",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("trigger", sa.String(32), nullable=False),
        sa.Column("doc", sa.Text, nullable=False),
        sa.Column("terms", sa.JSON, nullable=False),
        sa.Column("seen_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_functions"),
    )


def downgrade() -> None:
    op.drop_table("functions")
    op.drop_column("job_attempts", "log")
    for name in ("checkpoint", "params", "timeout_s"):
        op.drop_column("jobs", name)
