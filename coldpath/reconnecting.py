"""The consumer of Celery's worker, for which the loss of the broker is nothing to die of.

Invariant: when the connection to the broker is lost, the worker keeps its jobs and connects anew.
Deliveries that it holds are not put back at that moment: their jobs go on here, and the ledger or
the visibility timeout brings back what does not. Left to itself kombu (5.7) tries it, on a
connection of which it has let go if it was waiting for a message just then, and the worker ends.

Upstream: `coldpath.app` names it in Celery's settings. Downstream: kombu's channels.
"""

from typing import Any

from celery.worker.consumer import Consumer


class ReconnectingConsumer(Consumer):
    """Named by the setting `worker_consumer`."""

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        for channel in _channels(self.connection):
            channel.do_restore = False
        super().on_connection_error_after_connected(exc)


def _channels(connection: Any) -> list[Any]:
    """Those that are open; asking must not connect."""
    transport = getattr(connection, "_transport", None)
    return list(getattr(transport, "channels", None) or ())
