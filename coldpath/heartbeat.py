"""Keeps the deliveries that this worker works on invisible to others, while it lives.

Invariant: a delivery that is not acknowledged is refreshed every third of the visibility timeout,
and only if the broker still counts it as this worker's (`ZADD XX`): one that was handed out again
is not taken back. When the worker dies the refreshing ends, so another gets the delivery within one
visibility timeout, however long tasks are.

A bootstep of the worker's main process; it runs on the worker's timer, so a main process that
hangs stops refreshing too. Upstream: Celery's set of requests. Downstream: Valkey.
"""

import logging
import time
from collections import defaultdict
from typing import Any

from celery import bootsteps
from celery.worker import state
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

MIN_INTERVAL_S = 0.5


class VisibilityHeartbeat(bootsteps.StartStopStep):
    """Add it to `app.steps["worker"]`."""

    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def __init__(self, parent: Any, **_: Any) -> None:
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        timeout = float(parent.app.conf.broker_transport_options["visibility_timeout"])
        interval = max(MIN_INTERVAL_S, timeout / 3)
        self._timer = parent.timer.call_repeatedly(interval, refresh, (), priority=10)

    def stop(self, parent: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def refresh() -> int:
    """Refreshes every unacknowledged delivery of this worker; returns how many were."""
    requests = set(state.reserved_requests) | set(state.active_requests)
    by_channel: dict[Any, dict[str, float]] = defaultdict(dict)
    for request in requests:
        if not request.acknowledged:
            # kombu scores by this clock: the worker that restores compares with its own.
            by_channel[request.message.channel][request.message.delivery_tag] = time.time()
    refreshed = 0
    for channel, scores in by_channel.items():
        try:
            with channel.conn_or_acquire() as client:
                client.zadd(channel.unacked_index_key, scores, xx=True)
            refreshed += len(scores)
        except (RedisError, OSError) as error:
            # The next beat comes before the timeout does; a lost broker is the consumer's to mend.
            log.warning("cannot refresh %d deliveries: %s", len(scores), error)
    return refreshed
