"""The Celery application: delivery of job ids over Valkey, with the settings that were measured.

Celery carries ids and nothing else; results, retries, attempts and the poison cap are the ledger's.
Why each setting is as it is:

- `acks_late`, `reject_on_worker_lost`: a delivery is gone only when the job was worked on.
- prefetch 1: a worker holds no delivery that another could start.
- a visibility timeout of a minute, refreshed by `coldpath.heartbeat`: tasks may be long and a dead
  worker's delivery still comes back soon. `unacked_restore_*`: Celery looks every second; with its
  defaults a delivery with a timeout of 10 s came back after 100 s.
- queues instead of priorities: a Redis broker has none worth the name.
- `worker_cancel_long_running_tasks_on_connection_loss` off: on, a broker restart loses tasks.
- a consumer of our own (`coldpath.reconnecting`): without it, too, a broker restart ends workers.
- no soft shutdown of Celery's, which sleeps for all of its time: on SIGTERM `coldpath.worker` waits
  until no job is worked on (`coldpath.grace`).
"""

from typing import Any
from urllib.parse import urlsplit

from celery import Celery

from infra.errors import ConfigurationError

JOB_TASK = "livepath.job"
QUEUES = ("fast", "bulk")


def create_app(broker_url: str, *, visibility_timeout_s: float = 60) -> Celery:
    """An application on this broker. Dispatcher and worker make one each."""
    app = Celery("livepath", broker=broker_url, backend=None, set_as_current=False)
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=True,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_consumer="coldpath.reconnecting:ReconnectingConsumer",
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_proc_alive_timeout=30.0,
        worker_max_tasks_per_child=200,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=transport_options(visibility_timeout_s),
        task_default_queue="bulk",
        enable_utc=True,
        timezone="UTC",
    )
    return app


def check_broker_url(url: str) -> None:
    """Raises `ConfigurationError` unless the URL names a Valkey or Redis server."""
    parts = urlsplit(url)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ConfigurationError(
            "LIVEPATH_BROKER_URL cannot be used; write redis://[user:password@]host:port/database"
        )


def transport_options(visibility_timeout_s: float) -> dict[str, Any]:
    """How kombu keeps deliveries in Valkey."""
    return {
        "visibility_timeout": visibility_timeout_s,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        # A worker killed while it restores must not stop the others from it for 5 minutes.
        "unacked_mutex_expire": 10,
        "queue_order_strategy": "priority",
        "socket_connect_timeout": 5,
        "socket_timeout": 15,
        "socket_keepalive": True,
        "health_check_interval": 20,
    }
