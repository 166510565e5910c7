"""`livepath jobs` against an API on a real socket."""

import json
from pathlib import Path

import pytest
from sqlalchemy import delete

from infra.db.jobs import Function, Job, JobAttempt
from tests.integration.infra.cli.terminal import Terminal
from tests.integration.infra.control.conftest import KEY, Deployment
from tests.integration.infra.control.rows import add_job

pytestmark = pytest.mark.integration


@pytest.fixture
def terminal(served: str, tmp_path: Path) -> Terminal:
    return Terminal("jobs", served, KEY, tmp_path)


async def test_jobs_are_listed_and_told_apart(terminal: Terminal, deployment: Deployment) -> None:
    add_job(deployment, "ev_1", "job_good", at=1)
    add_job(deployment, "ev_1", "job_bad", state="dead")
    add_job(deployment, "ev_2", "job_else", state="running", at=2)
    assert [line.split()[0] for line in (await terminal.lines("ls"))[1:]] == [
        *("job_else", "job_good", "job_bad"),
    ]
    assert [line.split()[0] for line in (await terminal.lines("dead"))[1:]] == ["job_bad"]
    listed = json.loads(
        (await terminal.run("ls", "--event", "ev_1", "--limit", "1", "--json")).output
    )
    assert [one["id"] for one in listed] == ["job_good"]


async def test_one_job_is_shown_with_its_attempts_and_logs(
    terminal: Terminal, deployment: Deployment
) -> None:
    job = add_job(deployment, "ev_1")
    with deployment.session() as session, session.begin():
        session.get_one(JobAttempt, f"{job}-2").log = "WARNING archive: a hole of 2 s"
    shown = "\n".join(await terminal.lines("show", job))
    assert '{"keys": ["vod/x"]}' in shown
    assert "lost" in shown
    assert "succeeded" in shown
    assert "WARNING archive: a hole of 2 s" in await terminal.lines("logs", job)


async def test_an_error_is_shown_as_it_is(terminal: Terminal, deployment: Deployment) -> None:
    said = "StorageError: [red] is no colour and [/tmp] no end of one"
    job = add_job(deployment, "ev_1", state="dead")
    with deployment.session() as session, session.begin():
        session.get_one(Job, job).error = said
        session.get_one(JobAttempt, f"{job}-2").error = said
    assert said in (await terminal.lines("dead"))[1]
    assert "\n".join(await terminal.lines("show", job)).count(said) == 2


async def test_help_needs_no_key(terminal: Terminal) -> None:
    done = await terminal.run("retry", "--help", LIVEPATH_API_KEY="")
    assert (done.exit_code, "dead or cancelled jobs" in done.output) == (0, True)


async def test_orders_are_carried_out(terminal: Terminal, deployment: Deployment) -> None:
    dead, runs = add_job(deployment, "ev_1", "job_1", state="dead"), "job_2"
    add_job(deployment, "ev_1", runs, state="running")
    assert await terminal.lines("retry", dead) == [f"{dead}: queued"]
    assert await terminal.lines("cancel", runs) == [f"{runs}: cancelled"]


async def test_a_job_that_refuses_an_order_keeps_it_from_no_other(
    terminal: Terminal, deployment: Deployment
) -> None:
    for name in ("job_1", "job_3"):
        add_job(deployment, "ev_1", name, state="dead")
    add_job(deployment, "ev_1", "job_2", state="running")
    done = await terminal.run("retry", "job_1", "job_2", "job_none", "job_3")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == ["job_1: queued", "job_3: queued"]
    assert "job job_2 is running" in done.stderr
    assert "there is no job 'job_none'" in done.stderr
    assert done.stderr.count("fix: ") == 2


async def test_a_job_without_an_attempt_says_so(terminal: Terminal, deployment: Deployment) -> None:
    add_job(deployment, "ev_1", "job_1", state="queued")
    with deployment.session() as session, session.begin():
        session.execute(delete(JobAttempt))
    assert await terminal.lines("logs", "job_1") == ["no attempt was made yet"]
    assert json.loads((await terminal.run("logs", "job_1", "--json")).output) == []


async def test_functions_are_listed(terminal: Terminal, deployment: Deployment) -> None:
    terms = {"queue": "bulk", "max_attempts": 8, "timeout_s": 60, "memory_mb": 1, "per_project": 2}
    with deployment.session() as session, session.begin():
        session.add(Function(name="archive", trigger="manifest", doc="D.", terms=terms, seen_ms=1))
        session.add(Function(name="half", trigger="broken", doc="No x.", terms=terms, seen_ms=1))
    listed = await terminal.lines("functions")
    assert listed[1].split() == ["archive", "manifest", "bulk", "8", "60", "s", "2", "D."]
    assert listed[2].split() == ["half", "broken", "No", "x."]


@pytest.mark.parametrize(
    ("words", "environment", "status", "said"),
    [
        (["show", "job_none"], {}, 1, "there is no job 'job_none'"),
        (["retry", "job_none"], {}, 1, "List the project's jobs"),
        (["ls"], {"LIVEPATH_API_KEY": "lp_wrong"}, 1, "the API key is not known"),
        (["ls"], {"LIVEPATH_API_KEY": ""}, 1, "no API key"),
        (["ls"], {"LIVEPATH_API_URL": "http://127.0.0.1:1"}, 3, "does not answer"),
        (["ls", "--state", "odd"], {}, 2, "'odd' is not one of"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_line(
    terminal: Terminal, words: list[str], environment: dict[str, str], status: int, said: str
) -> None:
    done = await terminal.run(*words, **environment)
    assert done.exit_code == status
    assert said in done.output
    assert "Traceback" not in done.output
