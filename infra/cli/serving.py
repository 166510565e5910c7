"""A whole stack in the foreground, until a signal or its end. Upstream: `infra.cli.up`."""

import asyncio
import signal

from rich.console import Console

from infra.cli.hints import ffmpeg_command, paste_lines
from infra.cli.status import show
from infra.supervisor.options import StackOptions
from infra.supervisor.stack import Stack

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def serve(options: StackOptions) -> None:
    """Until a signal asks to stop, or the stack cannot run."""
    console, stack = Console(), Stack(options)
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()

    def stop() -> None:
        if asked.is_set():
            stack.kill()
        asked.set()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        async with asyncio.TaskGroup() as group:
            display = group.create_task(show(stack, console))
            life = group.create_task(_live(stack, console))
            ask = group.create_task(asked.wait())
            await asyncio.wait({life, ask}, return_when=asyncio.FIRST_COMPLETED)
            life.cancel()
            await asyncio.wait({life})
            display.cancel()
            ask.cancel()
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)


async def _live(stack: Stack, console: Console) -> None:
    async with stack:
        console.print()
        console.out(paste_lines(stack.endpoints, ffmpeg_command()), highlight=False)
        console.print()
        await stack.wait()
