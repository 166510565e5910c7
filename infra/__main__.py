"""`python -m infra`: the control process.

Settings → migrate the database → project and API key → serve. Exit codes: 0 after SIGTERM, 2 for a
setting that cannot be used, 1 for anything else that keeps it from starting.
"""

import asyncio
import signal
import sys

import structlog
import uvloop
from pydantic import ValidationError
from pydantic_settings import SettingsError

import infra.telemetry.unmeasured  # noqa: F401 -- before whatever imports redis
from infra.control.bootstrap import bootstrap, read_key_file
from infra.control.server import now_ms, run_control
from infra.db.engine import migrate, sync_engine
from infra.db.outage import DATABASE_ERRORS
from infra.errors import ConfigurationError, MigrationBlocked
from infra.settings import ControlSettings
from infra.telemetry.logs import configure_logging
from infra.telemetry.tracing import start_tracing, stop_tracing

_log = structlog.get_logger("infra")
_DATABASE_ERRORS: tuple[type[Exception], ...] = (*DATABASE_ERRORS, MigrationBlocked)


def main() -> int:
    """Run control; returns the exit code."""
    # Until the server has its own handlers.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    try:
        settings = ControlSettings()
    except (ValidationError, SettingsError) as error:
        return _refuse(_words(error))
    configure_logging("control", settings.log_format, settings.log_level)
    start_tracing("control", settings.otlp_endpoint)
    try:
        _prepare_database(settings)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_control(settings))
    except ConfigurationError as error:
        return _refuse(str(error))
    except _DATABASE_ERRORS as error:
        _log.error("control cannot start or go on", error=_first_line(error))
        return 1
    finally:
        stop_tracing()
    return 0


def _prepare_database(settings: ControlSettings) -> None:
    path = settings.bootstrap_api_key_file
    api_key = None if path is None else read_key_file(path)
    migrate(settings.database_url)
    engine = sync_engine(settings.database_url)
    try:
        bootstrap(engine, api_key, now_ms())
    finally:
        engine.dispose()


def _refuse(why: str) -> int:
    sys.stderr.write(f"livepath control: {why}\n")
    return 2


def _words(error: ValidationError | SettingsError) -> str:
    if isinstance(error, SettingsError):
        return _first_line(error)
    return "; ".join(
        f"LIVEPATH_{'.'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
        for item in error.errors()
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


if __name__ == "__main__":
    sys.exit(main())
