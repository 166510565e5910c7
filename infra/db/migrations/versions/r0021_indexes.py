"""Indexes for lists of jobs and events, for publishing what is open, and for tidying facts."""

import sqlalchemy as sa

from infra.db.online import NewIndex, build_indexes, drop_indexes

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

INDEXES = (
    NewIndex("ix_jobs_project_created_ms_id", "jobs", ["project", "created_ms", "id"]),
    # By the state first: a project's list has it as well, and the publisher asks for no project.
    NewIndex(
        "ix_events_state_project_created_ms_id", "events", ["state", "project", "created_ms", "id"]
    ),
    NewIndex(
        "ix_events_start",
        "events",
        ["project", sa.text("coalesce(starts_at_ms, 999999999999999)"), "id"],
    ),
    NewIndex("ix_events_updated_ms", "events", ["updated_ms"]),
    NewIndex("ix_facts_at_ms", "facts", ["at_ms"]),
)


def upgrade() -> None:
    build_indexes(INDEXES)


def downgrade() -> None:
    drop_indexes(INDEXES)
