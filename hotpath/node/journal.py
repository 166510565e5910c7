"""Facts of this node, numbered: what happened, to which programme, in the words control knows.

Upstream: `hotpath.node.programs` and `hotpath.node.recording`. Downstream: the outbox.
"""

import time
from collections.abc import Callable
from typing import Any

import structlog

from infra.events.facts import FactType, MediaFact
from infra.keys import ProgramKey

log = structlog.get_logger(__name__)


class Journal:
    """Makes facts with ids that rise within this life of the process and never repeat."""

    def __init__(self, node: str, boot: str, put: Callable[[MediaFact], None]) -> None:
        self._node = node
        self._boot = boot
        self._put = put
        self._number = 0

    def note(
        self,
        fact_type: FactType,
        *,
        project: str = "",
        event: str = "",
        feed: str = "main",
        at_ns: int | None = None,
        **detail: Any,
    ) -> None:
        """Put one fact into the outbox and into the log."""
        self._number += 1
        fact = MediaFact(
            id=f"{self._node}-{self._boot}-{self._number}",
            type=fact_type,
            node=self._node,
            at_ns=time.time_ns() if at_ns is None else at_ns,
            project=project,
            event=event,
            feed=feed,
            detail=detail,
        )
        self._put(fact)
        log.info(fact_type.value, program=f"{project}/{event}/{feed}", **detail)

    def program(self, key: ProgramKey, fact_type: FactType, **detail: Any) -> None:
        """A fact about one programme."""
        self.note(fact_type, project=key.project, event=key.event, feed=key.feed, **detail)
