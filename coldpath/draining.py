"""Stops a worker from taking work, without ending it, and sees when it has none left.

A bootstep of the worker's main process: queues may be cancelled only where the consumer runs, so
the worker's timer looks whether that is wanted. Upstream: `coldpath.worker`. Downstream: Celery's
consumer, which stays cancelled when the broker comes back after an outage.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from celery import bootsteps
from celery.worker import state

log = logging.getLogger(__name__)

LOOK_S = 0.5


def drain_step(
    wanted: Callable[[], bool], queues: Sequence[str], drained: Callable[[], None]
) -> type[bootsteps.StartStopStep]:
    """A step for `app.steps["worker"]` that cancels `queues` once `wanted` says so, and calls
    `drained` when the worker then has no job any more."""

    class Drain(bootsteps.StartStopStep):
        requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

        def __init__(self, parent: Any, **_: Any) -> None:
            self._timer: Any = None
            self._cancelled = False

        def start(self, parent: Any) -> None:
            self._timer = parent.timer.call_repeatedly(LOOK_S, self._look, (parent,))

        def stop(self, parent: Any) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _look(self, parent: Any) -> None:
            if not wanted() or getattr(parent.consumer, "task_consumer", None) is None:
                return
            if not self._cancelled:
                for queue in queues:
                    parent.consumer.cancel_task_queue(queue)
                self._cancelled = True
                log.info("no work is taken any more")
            elif not state.reserved_requests and not state.active_requests:
                self.stop(parent)
                drained()

    return Drain
