"""How the state of a stack is shown: one live table on a terminal, plain lines elsewhere."""

import datetime
from collections.abc import Iterable

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from infra.supervisor.policy import Phase
from infra.supervisor.runner import RoleStatus
from infra.supervisor.stack import Stack

_STYLES = {
    Phase.READY: "green",
    Phase.STARTING: "yellow",
    Phase.WAITING: "dim",
    Phase.NOT_READY: "bold yellow",
    Phase.BACKOFF: "bold red",
    Phase.FAILED: "bold red",
    Phase.STOPPING: "yellow",
    Phase.STOPPED: "dim",
}


def status_table(statuses: Iterable[RoleStatus]) -> Table:
    """One row per role: health, process, address, and what is wrong."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("role", "health", "pid", "restarts", "address"):
        table.add_column(column, no_wrap=column != "address")
    table.add_column("", style="dim", overflow="fold")
    for status in statuses:
        table.add_row(
            status.name,
            Text(status.phase.value, style=_STYLES[status.phase]),
            str(status.pid or ""),
            str(status.restarts or ""),
            status.url,
            status.detail,
        )
    return table


def status_line(status: RoleStatus, now: datetime.datetime) -> str:
    """One change of one role, for logs and pipes."""
    shown = [f"{now:%H:%M:%S}", f"{status.name:<13}", f"{status.phase.value:<9}"]
    if status.phase is Phase.READY:
        shown += [f"pid {status.pid}", status.url]
    return "  ".join([*shown, status.detail]).rstrip()


async def show(stack: Stack, console: Console) -> None:
    """Follow the stack until cancelled."""
    if console.is_terminal:
        await _show_live(stack, console)
    else:
        await _show_lines(stack, console)


async def _show_live(stack: Stack, console: Console) -> None:
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                live.update(status_table(stack.statuses), refresh=True)
                await stack.change()
        finally:
            live.update(status_table(stack.statuses), refresh=True)


async def _show_lines(stack: Stack, console: Console) -> None:
    shown: dict[str, tuple[Phase, int | None]] = {}
    while True:
        for status in stack.statuses:
            if shown.get(status.name) != (status.phase, status.pid):
                shown[status.name] = (status.phase, status.pid)
                now = datetime.datetime.now().astimezone()
                console.out(status_line(status, now), highlight=False)
        await stack.change()
