"""`python -m hotpath [media]`: the media node. `python -m hotpath upload`: the spool's uploader.

Settings come from `LIVEPATH_*`; a bad one gives one line on stderr and exit status 2.
"""

import asyncio
import gc
import resource
import signal
import sys
import time

import structlog
import uvloop
from pydantic import ValidationError

import infra.telemetry.unmeasured  # noqa: F401 -- before whatever imports redis
from infra.errors import LivepathError
from infra.settings import MediaSettings
from infra.telemetry.logs import configure_logging
from infra.telemetry.tracing import start_tracing, stop_tracing

USAGE = "usage: python -m hotpath [media | upload]"
OPEN_FILES = 65_536
SPANS_STOP_S = 0.5


def main(arguments: list[str]) -> int:
    match arguments:
        case [] | ["media"]:
            return media()
        case ["upload"]:
            from hotpath.hls import uploader

            uploader.main()
            return 0
        case _:
            sys.stderr.write(USAGE + "\n")
            return 2


def media() -> int:
    """Run the media node until SIGTERM or SIGINT."""
    try:
        settings = MediaSettings()
    except ValidationError as error:
        return complain(describe(error))
    configure_logging("media", settings.log_format, settings.log_level)
    start_tracing("media", settings.otlp_endpoint)
    raise_file_limit(OPEN_FILES)
    problems: list[str] = []
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings))
    except* (LivepathError, OSError) as group:
        structlog.get_logger(__name__).debug("media could not run", exc_info=True)
        problems += [str(error) for error in leaves(group)]
    finally:
        stop_tracing(SPANS_STOP_S)
    return complain("; ".join(problems)) if problems else 0


async def serve(settings: MediaSettings) -> None:
    # Late, so that a usage error does not load PyAV and the SRT library.
    from hotpath.node.app import MediaNode

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    calm_collector()
    await MediaNode(settings, started_ms=time.time_ns() // 1_000_000).run(stop)


def calm_collector() -> None:
    """Keep what was imported out of garbage collection; media objects die by reference count."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def raise_file_limit(wanted: int) -> None:
    """Every viewer is an open file; take what the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def describe(error: ValidationError) -> str:
    return "; ".join(
        f"LIVEPATH_{'_'.join(str(part) for part in problem['loc']).upper()}: {problem['msg']}"
        for problem in error.errors()
    )


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def complain(problem: str) -> int:
    sys.stderr.write(f"media cannot run: {problem}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
