"""Notices that this machine is about to be taken away, and what a worker does about them.

A rebalance recommendation: no more work is taken, what runs goes on to its next checkpoint or its
end, and then the worker ends, so that whoever supervises it starts another. One that is there when
the worker starts is known to who started it here, and changes nothing. A stop notice, two minutes
ahead: no more work is taken, and the worker stops in order before the machine does. EC2 tells both
over IMDSv2 (`latest/meta-data/events/recommendations/rebalance` and
`latest/meta-data/spot/instance-action`, 404 while there is nothing to tell).

Upstream: the metadata service. Downstream: `coldpath.worker`.
"""

import json
import logging
import mmap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2

log = logging.getLogger(__name__)

POLL_S = 5.0
TOKEN_TTL_S = 300
MARGIN_S = 16.0
"""Before the machine goes, when jobs have had their time to end: for the ordered stop, and for the
clocks to differ."""
_TOKEN, _TOKEN_TTL = "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds"
_REBALANCE = "/latest/meta-data/events/recommendations/rebalance"
_ACTION = "/latest/meta-data/spot/instance-action"


@dataclass(frozen=True, slots=True)
class Notice:
    """What the cloud said of this machine."""

    reason: str
    ends_at: float | None
    """Unix seconds at which the machine goes; None: perhaps, some time."""


def parse(rebalance: str | None, action: str | None, now: float) -> Notice | None:
    """The more urgent of the two documents; None for an answer that is not there. A stop whose
    time cannot be read is taken for one in two minutes, which is what the cloud promises."""
    if action is not None:
        said = _fields(action)
        return Notice(f"spot {said.get('action', 'stop')}", _unix(said.get("time")) or now + 120)
    if rebalance is not None:
        return Notice("rebalance recommendation", None)
    return None


def _fields(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _unix(text: Any) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    # Without a zone it would be read as local time; the service means UTC.
    return moment.timestamp() if moment.tzinfo is not None else None


class Metadata:
    """The instance metadata service, version 2."""

    def __init__(self, url: str, *, timeout_s: float = 2.0) -> None:
        self._client = httpx2.Client(base_url=url, timeout=timeout_s, trust_env=False)
        self._token = ""
        self._token_until = 0.0

    def read(self, now: float) -> Notice | None:
        """Raises `httpx2.HTTPError` when the service does not answer as it should."""
        return parse(self._get(_REBALANCE), self._get(_ACTION), now)

    def _get(self, path: str) -> str | None:
        response = self._client.get(path, headers={_TOKEN: self._fresh_token()})
        if response.status_code == 404:
            return None
        if response.status_code == 401:
            self._token_until = 0.0
        return response.raise_for_status().text

    def _fresh_token(self) -> str:
        if time.monotonic() >= self._token_until:
            response = self._client.put("/latest/api/token", headers={_TOKEN_TTL: str(TOKEN_TTL_S)})
            self._token = response.raise_for_status().text
            self._token_until = time.monotonic() + TOKEN_TTL_S / 2
        return self._token

    def close(self) -> None:
        self._client.close()


class StopFlag:
    """One bit that a main process sets and the processes it forks later see."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)

    def set(self) -> None:
        self._shared[0] = 1

    def is_set(self) -> bool:
        return self._shared[0] == 1


class Watch:
    """Asks again and again, in a thread of its own.

    `drain` is called once, with the first notice, unless that is a recommendation from before the
    first question; `stop` once, `MARGIN_S` and `grace_s` before the machine goes.
    """

    def __init__(
        self,
        metadata: Metadata,
        drain: Callable[[Notice], None],
        stop: Callable[[Notice], None],
        *,
        poll_s: float = POLL_S,
        grace_s: float = 0.0,
    ) -> None:
        self._metadata = metadata
        self._drain, self._stop = drain, stop
        self._poll_s = poll_s
        self._ahead_s = MARGIN_S + grace_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spot", daemon=True)
        self._draining = False
        self._answered = False
        self._started_late = False
        """After the recommendation."""

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._metadata.close()

    def _run(self) -> None:
        failures = 0
        while not self._over.is_set():
            try:
                notice = self._metadata.read(time.time())
                failures = 0
            except httpx2.HTTPError as error:
                notice, failures = None, failures + 1
                if failures.bit_count() == 1:
                    log.warning("the metadata service failed %d times: %s", failures, error)
            else:
                notice = self._news(notice)
            if notice is not None and self._heed(notice):
                return
            self._over.wait(self._poll_s)

    def _news(self, notice: Notice | None) -> Notice | None:
        """Without the recommendation that the first answer told of."""
        if notice is None or notice.ends_at is not None:
            self._answered = True
            return notice
        if not self._answered:
            self._answered = self._started_late = True
            log.warning("%s from before the start: work is taken all the same", notice.reason)
        return None if self._started_late else notice

    def _heed(self, notice: Notice) -> bool:
        """Whether nothing is left to be told."""
        if not self._draining:
            self._draining = True
            self._drain(notice)
        if notice.ends_at is None:
            return False
        self._over.wait(max(0.0, notice.ends_at - self._ahead_s - time.time()))
        if not self._over.is_set():
            self._stop(notice)
        return True
