"""`python -m coldpath dispatch` and `python -m coldpath worker`."""

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

from pydantic import ValidationError

import infra.telemetry.unmeasured  # noqa: F401 -- before whatever imports redis
from infra.errors import ConfigurationError
from infra.settings import DispatcherSettings, WorkerSettings
from infra.telemetry.logs import configure_logging
from infra.telemetry.tracing import start_tracing, stop_tracing

USAGE = "usage: python -m coldpath dispatch|worker"
BAD_CONFIGURATION = 2
STOP_S = 4.0


def main(arguments: Sequence[str]) -> int:
    """Runs one role; returns its exit status."""
    role = ROLES.get(arguments[0]) if len(arguments) == 1 else None
    if role is None:
        print(USAGE, file=sys.stderr)  # noqa: T201 (a usage line is no log event)
        return BAD_CONFIGURATION
    try:
        role()
    except (ConfigurationError, ValidationError) as error:
        print(f"coldpath {arguments[0]}: {_one_line(error)}", file=sys.stderr)  # noqa: T201
        return BAD_CONFIGURATION
    return 0


def _dispatch() -> None:
    from coldpath.dispatch import Dispatcher

    settings = DispatcherSettings()
    configure_logging("dispatcher", settings.log_format, settings.log_level)
    start_tracing("dispatcher", settings.otlp_endpoint)
    if not settings.webhook_token:
        raise ConfigurationError(
            "set LIVEPATH_WEBHOOK_TOKEN to the bearer token of the object-event webhook; "
            "without one anybody could post events"
        )
    with _listen(settings.dispatcher_host, settings.dispatcher_port) as listener:

        async def run() -> None:
            await Dispatcher(settings, listener, on_stop=_leave_in_time).run()

        asyncio.run(run())
    stop_tracing()


def _leave_in_time() -> None:
    """Ends the process when an ordered stop takes too long.

    A thread can hang in a store that does not answer for half a minute. Nothing is lost by leaving
    it: whatever was not noted as done is done again.
    """
    watchdog = threading.Timer(STOP_S, os._exit, (0,))
    watchdog.daemon = True
    watchdog.start()


def _work() -> None:
    from coldpath.worker import Worker

    settings = WorkerSettings()
    configure_logging("worker", settings.log_format, settings.log_level)
    Worker(settings).run()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; set "
            "LIVEPATH_DISPATCHER_HOST and LIVEPATH_DISPATCHER_PORT to a free address"
        ) from error


def _one_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(
            f"LIVEPATH_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()
        )
    return " ".join(str(error).split())


ROLES: Mapping[str, Callable[[], None]] = {"dispatch": _dispatch, "worker": _work}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
