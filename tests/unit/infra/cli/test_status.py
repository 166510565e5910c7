import datetime
import io

from rich.console import Console

from infra.cli.status import status_line, status_table
from infra.supervisor.policy import Phase
from infra.supervisor.runner import RoleStatus

NOON = datetime.datetime(2026, 1, 1, 12, 0, 5, tzinfo=datetime.UTC)
READY = RoleStatus("media", Phase.READY, 42, "", 3, "http://h:8081")
BACKOFF = RoleStatus("worker", Phase.BACKOFF, None, "exit status 1; again in 2 s", 1, "http://h")


def test_the_table_shows_health_and_address_of_every_role() -> None:
    out = io.StringIO()
    Console(file=out, width=120).print(status_table([READY, BACKOFF]))
    header, media, worker = out.getvalue().splitlines()
    assert header.split() == ["role", "health", "pid", "restarts", "address"]
    assert media.split() == ["media", "ready", "42", "3", "http://h:8081"]
    assert "backoff" in worker
    assert "again in 2 s" in worker


def test_a_line_tells_one_change() -> None:
    assert status_line(READY, NOON).split() == [
        "12:00:05",
        "media",
        "ready",
        "pid",
        "42",
        READY.url,
    ]
    assert status_line(BACKOFF, NOON).endswith("again in 2 s")
