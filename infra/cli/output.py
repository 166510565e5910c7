"""How commands show what they found: tables for people, JSON for programs.

Invariant: text of the API is shown as it is; none of it is taken for markup. `rich` is imported
when something is shown, so that commands start without it.
"""

import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from infra.client.models import Model

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document in place of a table.")]
Limit = Annotated[int, typer.Option(help="Rows at most.", min=1)]
_STYLES = {
    "live": "bold green",
    "lobby": "cyan",
    "reconnecting": "yellow",
    "cancelled": "dim",
    "succeeded": "green",
    "running": "cyan",
    "retrying": "yellow",
    "dead": "bold red",
    "delivered": "green",
    "failed": "bold red",
    "disabled": "bold red",
    "broken": "bold red",
}
"""Of states, whatever they are states of."""
_IDS = frozenset({"job", "event"})
_WIDE = 100_000


def print_json(found: "Model | Sequence[Model] | Mapping[str, Any]") -> None:
    print(json.dumps(plain(found), indent=2))


def print_line(found: "Model") -> None:
    """One line of a stream of JSON documents, at once."""
    print(json.dumps(plain(found)), flush=True)


def plain(found: Any) -> Any:
    from infra.client.models import Model

    if isinstance(found, Model):
        return found.model_dump(mode="json")
    return [plain(one) for one in found] if isinstance(found, list | tuple) else found


def print_error(words: str) -> None:
    """What a job said about its failure."""
    from rich.console import Console

    Console().print(f"\n{words}\n", style="red", markup=False, highlight=False, soft_wrap=True)


def table(columns: Sequence[str], rows: "Iterable[Sequence[str | Text]]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, header_style="bold", show_header=bool(any(columns)))
    for number, column in enumerate(columns):
        # An id that is broken in two cannot be copied; what is said in words can be read.
        made.add_column(column, overflow="fold", no_wrap=number == 0 or column in _IDS)
    for row in rows:
        made.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return made


def print_table(columns: Sequence[str], rows: "Iterable[Sequence[str | Text]]") -> None:
    from rich.console import Console

    made = table(columns, rows)
    if sys.stdout.isatty():
        Console().print(made)
        return
    # Through a pipe lines are as long as they are, so that grep finds what people look for.
    written = io.StringIO()
    Console(file=written, width=_WIDE).print(made)
    for line in written.getvalue().splitlines():
        print(line.rstrip())


def print_fields(fields: "Mapping[str, str | Text | None]") -> None:
    """One thing, a line for each of its fields that says something."""
    from rich.console import Console
    from rich.text import Text

    shown = {name: value for name, value in fields.items() if value}
    width = max(map(len, shown), default=0)
    for name, value in shown.items():
        # The terminal breaks long lines, so that an address that is copied is whole.
        line = Text.assemble((f"{name:<{width}}  ", "dim"), value)
        Console().print(line, soft_wrap=True, highlight=False)


def state(word: str) -> "Text":
    from rich.text import Text

    return Text(word, style=_STYLES.get(word, ""))


def when(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def words(values: Mapping[str, object]) -> str:
    """`name=value` of each, as options take them."""
    return " ".join(f"{name}={value}" for name, value in values.items())
