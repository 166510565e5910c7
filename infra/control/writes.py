"""Whether a transaction wrote what somebody waits for: publisher, outbox, clock, or workers; and
whether media nodes are among them.

Invariant: only what is known to interest nobody is passed over; a statement of a kind that cannot
be looked into counts. Upstream: `dependencies`, which rings for the others.
"""

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction

from infra.db.audit import AuditEntry
from infra.db.control import Event, Project
from infra.db.idempotency import KeptAnswer

_READ_LATER = (AuditEntry, KeptAnswer)
_PUBLISHED = (Event, Project)
"""Whatever nodes must know of raises the revision of one of these."""


class Writes:
    """Listens to one session, from when it is made."""

    def __init__(self, session: AsyncSession) -> None:
        self.matter = False
        self.concern_nodes = False
        event.listen(session.sync_session, "after_flush", self._flushed)
        event.listen(session.sync_session, "do_orm_execute", self._executed)

    def _flushed(self, session: Session, _transaction: UOWTransaction) -> None:
        written = (*session.new, *session.dirty, *session.deleted)
        self.matter = self.matter or any(not isinstance(row, _READ_LATER) for row in written)
        self.concern_nodes = self.concern_nodes or any(
            isinstance(row, _PUBLISHED) and row.published_revision < row.revision for row in written
        )

    def _executed(self, state: ORMExecuteState) -> None:
        self.matter = self.matter or not state.is_select
