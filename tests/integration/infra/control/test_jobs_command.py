"""`livepath jobs` against an API on a real socket."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from typer.testing import CliRunner, Result

from infra.cli.app import app
from infra.db.jobs import Function, JobAttempt
from tests.integration.infra.control.conftest import KEY, Deployment
from tests.integration.infra.control.rows import add_job

pytestmark = pytest.mark.integration


class Terminal:
    """Somebody's shell."""

    def __init__(self, url: str, data_dir: Path) -> None:
        self._environment = {
            "LIVEPATH_API_URL": url,
            "LIVEPATH_API_KEY": KEY,
            "LIVEPATH_DATA_DIR": str(data_dir),
        }

    def run(self, *words: str, **environment: str) -> Result:
        return CliRunner().invoke(app, ["jobs", *words], env=self._environment | environment)

    def lines(self, *words: str) -> list[str]:
        done = self.run(*words)
        assert done.exit_code == 0, done.output
        return done.output.splitlines()


@pytest.fixture
def terminal(deployment: Deployment, tmp_path: Path) -> Iterator[Terminal]:
    config = uvicorn.Config(deployment.app, port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    # Signals are the main thread's; uvicorn leaves them alone in another one.
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Terminal(f"http://127.0.0.1:{listener.getsockname()[1]}", tmp_path)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def test_jobs_are_listed_and_told_apart(terminal: Terminal, deployment: Deployment) -> None:
    add_job(deployment, "ev_1", "job_good", at=1)
    add_job(deployment, "ev_1", "job_bad", state="dead")
    add_job(deployment, "ev_2", "job_else", state="running", at=2)
    assert [line.split()[0] for line in terminal.lines("ls")[1:]] == [
        *("job_else", "job_good", "job_bad"),
    ]
    assert [line.split()[0] for line in terminal.lines("dead")[1:]] == ["job_bad"]
    listed = json.loads(terminal.run("ls", "--event", "ev_1", "--limit", "1", "--json").output)
    assert [one["id"] for one in listed] == ["job_good"]


def test_one_job_is_shown_with_its_attempts_and_logs(
    terminal: Terminal, deployment: Deployment
) -> None:
    job = add_job(deployment, "ev_1")
    with deployment.session() as session, session.begin():
        session.get_one(JobAttempt, f"{job}-2").log = "WARNING archive: a hole of 2 s"
    shown = "\n".join(terminal.lines("show", job))
    assert '{"keys": ["vod/x"]}' in shown
    assert "lost" in shown
    assert "succeeded" in shown
    assert "WARNING archive: a hole of 2 s" in terminal.lines("logs", job)


def test_orders_are_carried_out(terminal: Terminal, deployment: Deployment) -> None:
    dead, runs = add_job(deployment, "ev_1", "job_1", state="dead"), "job_2"
    add_job(deployment, "ev_1", runs, state="running")
    assert terminal.lines("retry", dead) == [f"{dead}: queued"]
    assert terminal.lines("cancel", runs) == [f"{runs}: cancelled"]


def test_functions_are_listed(terminal: Terminal, deployment: Deployment) -> None:
    terms = {"queue": "bulk", "max_attempts": 8, "timeout_s": 60, "memory_mb": 1, "per_project": 2}
    with deployment.session() as session, session.begin():
        session.add(Function(name="archive", trigger="manifest", doc="D.", terms=terms, seen_ms=1))
    assert terminal.lines("functions")[1].split() == [
        *("archive", "manifest", "bulk", "8", "60", "s", "2", "D."),
    ]


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (["show", "job_none"], {}, "there is no job 'job_none'"),
        (["retry", "job_none"], {}, "List the project's jobs"),
        (["ls"], {"LIVEPATH_API_KEY": "lp_wrong"}, "the API key is not known"),
        (["ls"], {"LIVEPATH_API_KEY": ""}, "no API key"),
        (["ls"], {"LIVEPATH_API_URL": "http://127.0.0.1:1"}, "does not answer"),
        (["ls", "--state", "odd"], {}, "Compare the request"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    terminal: Terminal, words: list[str], environment: dict[str, str], said: str
) -> None:
    done = terminal.run(*words, **environment)
    assert done.exit_code == 1
    assert said in done.output
    assert "Traceback" not in done.output
