"""The last successes of a function are found without reading all of them."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NAME = "ix_jobs_function_state_finished_ms"


def upgrade() -> None:
    op.create_index(NAME, "jobs", ["function", "state", "finished_ms"])


def downgrade() -> None:
    op.drop_index(NAME, "jobs")
