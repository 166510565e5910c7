"""Database URLs: which are read, and as what."""

from pathlib import Path

import pytest

from infra.db.url import PostgresUrl, SqliteUrl, read_url
from infra.errors import ConfigurationError

ONE, TWO = "postgresql://u:p%40x@db/livepath", "postgresql://u:p@a:5432,b:5433/livepath"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///livepath.db", "livepath.db"),
        ("sqlite:////var/lib/livepath.db", "/var/lib/livepath.db"),
        ("sqlite+pysqlite:///a/b c.db?timeout=5", "a/b c.db"),
    ],
)
def test_files(url: str, path: str) -> None:
    assert read_url(url) == SqliteUrl(Path(path))


@pytest.mark.parametrize(
    ("url", "read"),
    [
        (ONE, ONE),
        ("postgres://db/livepath", "postgresql://db/livepath"),
        ("postgresql+asyncpg://db/livepath", "postgresql://db/livepath"),
        (f"{ONE}?sslmode=require", f"{ONE}?sslmode=require"),
        (TWO, f"{TWO}?target_session_attrs=read-write"),
        (f"{TWO}?sslmode=require", f"{TWO}?sslmode=require&target_session_attrs=read-write"),
        (f"{TWO}?target_session_attrs=any", f"{TWO}?target_session_attrs=any"),
        ("postgresql://u:a,b@db/livepath", "postgresql://u:a,b@db/livepath"),
    ],
)
def test_servers(url: str, read: str) -> None:
    assert read_url(url) == PostgresUrl(read)


@pytest.mark.parametrize(
    "url",
    [
        *("", "what", "mysql://h/n", "sqlite://", "sqlite://x.db", "sqlite:///"),
        *("sqlite:///:memory:", "postgresql://[::1/x", "postgresql://db/x?sslmode"),
    ],
)
def test_what_cannot_be_used_says_what_can(url: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlite:///"):
        read_url(url)
