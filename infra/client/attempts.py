"""One call over its attempts: what each came to, whether another follows, and what it all means.

Shared by both wires; neither a clock, a socket nor chance is here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx2

from infra.client.calls import Call, M, Prepared, read
from infra.client.errors import Unreachable, error_of, seconds_of
from infra.client.retries import Outcome, Retries, outcome_of

_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
_HOPELESS = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.TooManyRedirects)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Attempts:
    """Where a call stands."""

    retries: Retries
    began_s: float
    timeout_s: float
    """Of one attempt."""

    def left_s(self, now_s: float) -> float:
        """What an attempt that begins now may take."""
        return max(0.001, min(self.timeout_s, self.began_s + self.retries.total_s - now_s))

    def pause_s(
        self,
        number: int,
        came: Answer | httpx2.RequestError,
        *,
        repeatable: bool,
        now_s: float,
        chance: float,
    ) -> float | None:
        """How long to wait before the next attempt; None: this was the last."""
        if isinstance(came, Answer) and came.is_success:
            return None
        after = seconds_of(came.headers.get("retry-after")) if isinstance(came, Answer) else None
        return self.retries.pause_s(
            number,
            outcome_of(came.status) if isinstance(came, Answer) else _outcome(came),
            repeatable=repeatable,
            spent_s=now_s - self.began_s,
            chance=chance,
            retry_after_s=after,
        )


def settle(call: Call[M], sent: Prepared, came: Answer | httpx2.RequestError) -> M:
    """The result of the last attempt."""
    if isinstance(came, httpx2.RequestError):
        raise Unreachable(str(came) or type(came).__name__, sent.request_id) from came
    if not came.is_success:
        raise error_of(came.status, came.headers, came.body, sent.request_id)
    return read(call, came.headers, came.body, sent.request_id)


def _outcome(error: httpx2.RequestError) -> Outcome:
    if isinstance(error, _HOPELESS):
        return Outcome.FINAL
    return Outcome.NOT_SENT if isinstance(error, _NOT_SENT) else Outcome.UNKNOWN
