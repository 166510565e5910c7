"""The consumer of Celery's worker, for which the loss of the broker is nothing to die of.

Invariant: when the connection to the broker is lost, the worker keeps its jobs and connects anew;
what was delivered over the old connection is acknowledged, and kept invisible, over the new one.
Nothing is put back into a queue at that moment: the jobs go on here, and the ledger or the
visibility timeout brings back what does not.

Left to themselves kombu and Celery (5.7) use channels that are closed: to put deliveries back if
the worker was waiting for another one just then, or to acknowledge a job that ends later. Either
ends the worker.

Upstream: `coldpath.app` names it in Celery's settings. Downstream: kombu's channels.
"""

from typing import Any
from weakref import WeakSet

from celery.worker.consumer import Consumer


class ReconnectingConsumer(Consumer):
    """Named by the setting `worker_consumer`."""

    task_consumer: Any
    """Set by Celery once it is connected."""

    def __init__(self, *args: Any, **named: Any) -> None:
        self._lost: WeakSet[Any] = WeakSet()
        """Channels that are closed, and whose deliveries may still be worked on."""
        super().__init__(*args, **named)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        for channel in _channels(self.connection):
            channel.do_restore = False
            self._lost.add(channel)
        super().on_connection_error_after_connected(exc)

    def loop_args(self) -> Any:
        """Asked when it is about to take work (again)."""
        channel = self.task_consumer.channel
        for lost in self._lost:
            lost.basic_ack = channel.basic_ack
            lost.basic_reject = channel.basic_reject
            lost.conn_or_acquire = channel.conn_or_acquire
        return super().loop_args()


def _channels(connection: Any) -> list[Any]:
    """Those that are open; asking must not connect."""
    transport = getattr(connection, "_transport", None)
    return list(getattr(transport, "channels", None) or ())
