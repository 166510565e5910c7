"""Which database a URL names. Pure.

Upstream: settings. Downstream: `infra.db.engine`, and by way of it libpq and asyncpg, which read
Postgres URLs themselves: https://www.postgresql.org/docs/current/libpq-connect.html
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from infra.errors import ConfigurationError

_FORMS = (
    "write sqlite:///path/to/livepath.db or postgresql://user:password@host/name, or several hosts "
    "as host1:5432,host2:5432"
)


@dataclass(frozen=True, slots=True)
class SqliteUrl:
    path: Path


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    text: str
    """As both drivers read it."""


def read_url(url: str) -> SqliteUrl | PostgresUrl:
    """Raises `ConfigurationError` for what is no database that is supported."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigurationError(f"the database URL cannot be read; {_FORMS}")
    match scheme.partition("+")[0]:
        case "sqlite":
            return _sqlite(rest)
        case "postgresql" | "postgres":
            return _postgres(f"postgresql://{rest}")
        case other:
            raise ConfigurationError(
                f"{other[:40]} databases are not supported, but sqlite or postgresql; {_FORMS}"
            )


def _sqlite(rest: str) -> SqliteUrl:
    if rest and not rest.startswith("/"):
        raise ConfigurationError(f"the database URL cannot be read; {_FORMS}")
    path = rest.partition("?")[0].removeprefix("/")
    if path in ("", ":memory:"):
        raise ConfigurationError(
            "an in-memory SQLite database is not shared between processes; "
            "write sqlite:///path/to/livepath.db"
        )
    return SqliteUrl(Path(path))


def _postgres(text: str) -> PostgresUrl:
    try:
        parts = urlsplit(text)
        asked = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise ConfigurationError(f"the database URL cannot be read; {_FORMS}") from error
    several = "," in parts.netloc.rpartition("@")[2] or "," in asked.get("host", "")
    if several and "target_session_attrs" not in asked:
        # Of servers that follow each other one takes writes.
        text += f"{'&' if parts.query else '?'}target_session_attrs=read-write"
    return PostgresUrl(text)
