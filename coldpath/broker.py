"""The dispatcher's side of the broker: sends deliveries and counts which are alive.

Upstream: `coldpath.dispatch`, `coldpath.reconcile`. Downstream: Valkey, by way of Celery for what
is written and directly for what is read.
"""

import json
from collections.abc import Iterable
from typing import Any, cast

import redis
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from coldpath.app import JOB_TASK
from coldpath.deliveries import Delivery
from coldpath.errors import BrokerError
from infra.telemetry.traceparent import HEADER

MAX_LISTED = 20_000
GRACE_S = 30
"""Between asking an attempt that takes too long to end and killing its process."""
_UNACKED = "unacked"


class Broker:
    """One Valkey database used as Celery broker."""

    def __init__(
        self, app: Celery, url: str, *, timeout_s: float = 5.0, grace_s: int = GRACE_S
    ) -> None:
        self._app = app
        self._grace_s = grace_s
        self._client = redis.Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s
        )

    def send(self, delivery: Delivery) -> None:
        """Puts the job's id into its queue. The task's id is the job's: deterministic."""
        try:
            self._app.send_task(
                JOB_TASK,
                args=(delivery.job,),
                task_id=delivery.job,
                queue=delivery.queue,
                soft_time_limit=delivery.timeout_s,
                time_limit=delivery.timeout_s + self._grace_s,
                retry=False,
                ignore_result=True,
                headers=None if delivery.traceparent is None else {HEADER: delivery.traceparent},
            )
        except (OperationalError, RedisError, OSError) as error:
            raise BrokerError(f"the broker did not take {delivery.job}: {error}") from error

    def live(self, queues: Iterable[str]) -> set[str] | None:
        """Ids of all jobs that wait in a queue or are held by a worker.

        None when there are more than `MAX_LISTED`: then nothing can be said of any one of them.
        """
        names = sorted(set(queues))
        try:
            waiting = sum([int(self._client.llen(name)) for name in names])
            if waiting + int(self._client.hlen(_UNACKED)) > MAX_LISTED:
                return None
            messages: list[Any] = []
            for name in names:
                messages += cast(list[Any], self._client.lrange(name, 0, MAX_LISTED))
            held = cast(list[Any], self._client.hvals(_UNACKED))
        except (RedisError, OSError) as error:
            raise BrokerError(f"the broker cannot be read: {error}") from error
        found = {_task_id(message) for message in messages}
        found |= {_task_id(message) for message in map(_held_message, held)}
        return found - {""}

    def check(self) -> None:
        """Raises `BrokerError` when the broker does not answer."""
        try:
            self._client.ping()
        except (RedisError, OSError) as error:
            raise BrokerError(f"the broker does not answer: {error}") from error

    def close(self) -> None:
        self._client.close()
        self._app.close()


def _held_message(entry: bytes) -> Any:
    """The message in an entry of kombu's hash of unacknowledged ones: [message, exchange, key]."""
    try:
        return json.loads(entry)[0]
    except (ValueError, LookupError, TypeError):
        return None


def _task_id(message: Any) -> str:
    """The task id in a kombu message; empty for anything else that lies there."""
    try:
        parsed = json.loads(message) if isinstance(message, bytes) else message
        return str(parsed["headers"]["id"])
    except (ValueError, LookupError, TypeError):
        return ""
