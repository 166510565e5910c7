"""Dispatchers in processes of their own, to be killed.

    python -m tests.support.dispatching DATABASE_URL     each line on stdin starts one: its pid

This process has imported everything and forks, so that a start takes milliseconds.
"""

import asyncio
import os
import signal
import sys
import time

from infra.control.context import Databases
from infra.db.engine import async_engine
from infra.outbox.relay import Relay
from infra.webhooks.deliveries import owe
from infra.webhooks.dispatcher import DispatchLimits, WebhookDispatcher
from infra.webhooks.guard import Allowed, Guard
from infra.webhooks.sending import Sender
from tests.support.plain_http import NO_TLS

LEASE_MS = 1_500
"""Much longer than an attempt takes on a busy machine; what a killed process held waits for it."""
TIMEOUT_S = 15.0
QUICK = DispatchLimits(lease_ms=LEASE_MS, interval_s=0.02)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def dispatch(url: str) -> None:
    """Until killed, or left alone."""
    parent = os.getppid()
    engine = async_engine(url)
    databases = Databases.of(engine)
    guard = Guard(Allowed(http=True, private=True))
    relay = Relay(databases.writing, databases.reading, owe, lambda: None, now_ms)
    sender = Sender(guard, timeout_s=TIMEOUT_S, trusted=NO_TLS)
    async with asyncio.TaskGroup() as group:
        dispatcher = WebhookDispatcher(
            relay, databases.writing, databases.reading, sender, now_ms, limits=QUICK
        )
        running = group.create_task(dispatcher.run())
        while os.getppid() == parent:
            await asyncio.sleep(0.2)
        running.cancel()


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            asyncio.run(dispatch(sys.argv[1]))
            os._exit(0)
        print(pid, flush=True)  # noqa: T201 -- its answer


if __name__ == "__main__":
    main()
