"""What the commands over the control API share: where it is, what opens it, how refusals are said.

Invariant: a command that fails says why in the API's own words, with the fix, on standard error,
and its exit status says which kind of failure it was. `infra.client` is imported when a call is
made, so that help and completion are there at once.

Upstream: the groups of `livepath` over the API. Downstream: `infra.client`; no plane is imported.
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    import ssl

    from infra.client import AsyncClient, Client, ClientError, Retries
    from infra.client.models import Model

    M = TypeVar("M", bound=Model)

DEFAULT_URL = "http://127.0.0.1:8080"
PAGE = 100
T = TypeVar("T")


class Ended(IntEnum):
    """Exit statuses beside 0; 2 is Typer's for a wrong use, 130 that of Ctrl-C."""

    REFUSED = 1
    """The API said no, or something is missing on this side."""
    UNREACHABLE = 3
    """Nobody answered, or the API is out of order for now."""
    IN_VAIN = 4
    """What was waited for did not come."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API is and what opens it, as the options say."""

    url: str | None
    key: str | None
    data_dir: Path
    project: str | None


@dataclass(frozen=True, slots=True)
class Address:
    url: str
    certificate: Path | None
    """Of a stack that made one for itself."""


def access(
    context: typer.Context,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="LIVEPATH_API_URL",
            help=f"The control API; default: that of --data-dir, else {DEFAULT_URL}.",
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(envvar="LIVEPATH_API_KEY", help="API key; default: that of --data-dir."),
    ] = None,
    data_dir: Annotated[
        Path,
        typer.Option(
            envvar="LIVEPATH_DATA_DIR", help="Where `livepath up` keeps its address and key."
        ),
    ] = Path("livepath-data"),
    project: Annotated[
        str | None,
        typer.Option(envvar="LIVEPATH_PROJECT", help="For a key of the whole organisation."),
    ] = None,
) -> None:
    """Options of every command of this group."""
    # Who asks a command for its help needs no key.
    context.obj = Access(url or None, key or None, data_dir, project or None)


def group(about: str) -> typer.Typer:
    """A group of commands with the options above."""
    made = typer.Typer(
        help=about,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )
    made.callback()(access)
    return made


def example(words: str) -> str:
    """The last lines of a command's help."""
    return f"Example: `{words}`"


@contextmanager
def api(context: typer.Context) -> "Iterator[Client]":
    """The API for one command; what it refuses ends the command."""
    from infra.client import Client

    given: Access = context.obj
    address, key = where(given), key_of(given)
    trusted, retries = _trust(address), patience()
    with (
        refusals(),
        Client(address.url, key, project=given.project, retries=retries, tls=trusted) as client,
    ):
        yield client


def asynchronous(context: typer.Context) -> "AsyncClient":
    """The same for an event loop; its owner closes it, within `refusals`."""
    from infra.client import AsyncClient

    given: Access = context.obj
    address = where(given)
    return AsyncClient(
        address.url, key_of(given), project=given.project, retries=patience(), tls=_trust(address)
    )


@contextmanager
def refusals() -> Iterator[None]:
    """What the client raises on purpose ends the command, in words."""
    from infra.client import ClientError

    try:
        yield
    except ClientError as error:
        raise stop(told(error), status_of(error)) from error


def patience() -> "Retries":
    from infra.client import Retries

    # Somebody looks at the screen.
    return Retries(attempts=3, total_s=30)


def where(given: Access) -> Address:
    """What was said, else what the stack in the data folder wrote, else the default."""
    if given.url is not None and not given.url.startswith("https:"):
        return Address(given.url, None)
    try:
        stack = json.loads((given.data_dir / "endpoints.json").read_text())
        url, certificate = str(stack["control_url"]), stack.get("certificate_file")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Address(given.url or DEFAULT_URL, None)
    if given.url is not None and given.url.rstrip("/") != url:
        return Address(given.url, None)
    return Address(url, None if certificate is None else Path(certificate))


def key_of(given: Access) -> str:
    file = given.data_dir / "api-key"
    try:
        return given.key or file.read_text().strip()
    except OSError as error:
        raise stop(
            f"livepath: no API key ({file}: {error.strerror})\n"
            "fix: Set LIVEPATH_API_KEY, or --data-dir to the folder of `livepath up`."
        ) from error


def told(error: "ClientError") -> str:
    """What went wrong, and what to do about it."""
    from infra.client import ApiError, Unreachable

    if isinstance(error, ApiError):
        said = [f"livepath: {error.detail or error.title} ({error.status}, {error.request_id})"]
        more = [f"{one.get('where')}: {one.get('message')}" for one in error.errors]
        said += [f"  {one}" for one in more if one not in error.detail]
        return "\n".join([*said, f"fix: {error.fix}"] if error.fix else said)
    if isinstance(error, Unreachable):
        return f"livepath: {error}\nfix: Check that it runs, and --url or LIVEPATH_API_URL."
    return f"livepath: {error}"


def status_of(error: "ClientError") -> Ended:
    from infra.client import Unavailable, UnexpectedAnswer, Unreachable, WaitedInVain

    if isinstance(error, Unreachable | Unavailable | UnexpectedAnswer):
        return Ended.UNREACHABLE
    return Ended.IN_VAIN if isinstance(error, WaitedInVain) else Ended.REFUSED


def stop(words: str, status: Ended = Ended.REFUSED) -> typer.Exit:
    print(words, file=sys.stderr)
    return typer.Exit(status)


def first(limit: int, listed: "Callable[..., Iterator[M]]", *of: str, **filters: Any) -> "list[M]":
    """At most so many of a list, and no more asked for than that."""
    return list(islice(listed(*of, page_size=min(limit, PAGE), **filters), limit))


def option(name: str, read: Callable[[], T]) -> T:
    """A value that was read from text; ValueError is a wrong use of the option."""
    try:
        return read()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=name) from None


def _trust(address: Address) -> "ssl.SSLContext | None":
    import ssl
    from urllib.request import getproxies

    if address.certificate is None:
        # Root certificates take a while to read; without TLS nobody looks at them.
        plain = address.url.startswith("http:") and not getproxies()
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else None
    try:
        return ssl.create_default_context(cafile=address.certificate)
    except OSError as error:
        raise stop(f"livepath: {address.certificate} cannot be read: {error}") from error
