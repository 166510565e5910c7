"""The threads that step DTLS handshakes, so that a wave of joins never stalls the event loop.

At most `limit` steps wait; beyond that a step is refused and the peer's retransmission asks again.
Upstream: `peer`. Downstream: `handshake`.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from hotpath.webrtc.dtls import Step
from hotpath.webrtc.errors import DtlsError
from hotpath.webrtc.handshake import Work

log = logging.getLogger(__name__)


class HandshakePool:
    def __init__(self, threads: int, limit: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="dtls")
        self._limit = limit
        self.waiting = 0

    def submit(self, work: Work, done: Callable[[Step], None]) -> bool:
        """Run `work` in a thread, then `done(step)` on the loop; False: the queue is full."""
        if self.waiting >= self._limit:
            return False
        self.waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, work.run)
        future.add_done_callback(partial(self._deliver, done))
        return True

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _deliver(self, done: Callable[[Step], None], future: "asyncio.Future[Step]") -> None:
        self.waiting -= 1
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            done(future.result())
            return
        log.error("a DTLS step failed", exc_info=error)
        done(Step(error=DtlsError("internal", repr(error))))
