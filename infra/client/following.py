"""The stream of public events: where a listener stands, over any number of connections. Pure.

Invariant: a connection goes on behind the last id that was heard, so that none is missed or handed
out twice.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import httpx2

from infra.client.attempts import Answer
from infra.client.errors import ApiError, UnexpectedAnswer, Unreachable, error_of, seconds_of
from infra.client.models import Message
from infra.client.retries import Outcome, Retries, outcome_of

PATH = "/v1/stream"
SILENCE_S = 45.0
"""The server says something every 15 s."""
PATIENCE_S = 900.0
"""So long a stream that was heard is tried to be heard again; it outlasts a restart."""
_ANY = 10_000
"""Attempts, where time is the limit."""


@dataclass(frozen=True, slots=True)
class Following:
    """What is followed."""

    types: Sequence[str] | None = None
    event: str | None = None
    last_event_id: str | None = None

    @property
    def query(self) -> Mapping[str, str]:
        said = {"types": ",".join(self.types) if self.types else None, "event": self.event}
        return {name: value for name, value in said.items() if value is not None}


class Place:
    """How far a listener has come, and what a lost connection means."""

    def __init__(self, following: Following, retries: Retries, request_id: str) -> None:
        self._last = following.last_event_id
        self._retries = retries
        self._request_id = request_id
        self._pause_s = retries.first_s
        self._failed = 0
        self._waited_s = 0.0

    @property
    def headers(self) -> dict[str, str]:
        said = {"Accept": "text/event-stream", "X-Request-Id": self._request_id}
        return said if self._last is None else {**said, "Last-Event-ID": self._last}

    def take(self, heard: httpx2.ServerSentEvent) -> Message | None:
        """The message that was heard, if it is one."""
        self._failed, self._waited_s = 0, 0.0
        self._retries = replace(self._retries, attempts=_ANY, total_s=PATIENCE_S)
        if heard.retry is not None:
            self._pause_s = heard.retry / 1000
        self._last = heard.id or self._last
        if not heard.data:
            return None
        try:
            said = {"type": heard.event, **json.loads(heard.data), "sequence": self._last}
            return Message.model_validate(said)
        except (ValueError, TypeError):
            raise UnexpectedAnswer("the stream said what is no message", self._request_id) from None

    def pause_s(self, lost: Answer | httpx2.RequestError | None, chance: float) -> float:
        """How long to wait before connecting again; raises when that is of no use. None: the
        stream came to its end."""
        if lost is None:
            return self._pause_s * (1 + chance) / 2
        self._failed += 1
        after = seconds_of(lost.headers.get("retry-after")) if isinstance(lost, Answer) else None
        outcome = outcome_of(lost.status) if isinstance(lost, Answer) else Outcome.NOT_SENT
        pause = self._retries.pause_s(
            self._failed,
            outcome,
            repeatable=True,
            spent_s=self._waited_s,
            chance=chance,
            retry_after_s=after,
        )
        if pause is None:
            raise self._error(lost)
        self._waited_s += pause
        return pause

    def _error(self, lost: Answer | httpx2.RequestError) -> ApiError | Unreachable:
        if isinstance(lost, Answer):
            return error_of(lost.status, lost.headers, lost.body, self._request_id)
        return Unreachable(str(lost) or type(lost).__name__, self._request_id)
