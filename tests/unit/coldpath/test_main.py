"""`python -m coldpath` with a configuration that cannot be used."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from coldpath import __main__ as roles

ROOT = Path(__file__).resolve().parents[3]
Refuse = Callable[..., str]


@pytest.fixture
def taken_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


@pytest.fixture
def refuse(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Refuse:
    """Runs a role that must refuse to start; returns what it says."""
    # The logging of the test process is not the role's to set up.
    monkeypatch.setattr(roles, "configure_logging", lambda *_: None)

    def run(role: str, **settings: str) -> str:
        defaults = {
            "LIVEPATH_WEBHOOK_TOKEN": "t",
            "LIVEPATH_DATABASE_URL": f"sqlite:///{tmp_path}/livepath.db",
            "LIVEPATH_DISPATCHER_PORT": "0",
            "LIVEPATH_WORKER_PORT": "0",
        }
        for name, value in {**defaults, **settings}.items():
            monkeypatch.setenv(name, value)
        assert roles.main([role]) == 2
        return capsys.readouterr().err

    return run


@pytest.mark.parametrize("arguments", [(), ("serve",), ("dispatch", "now")])
def test_usage(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert roles.main(arguments) == 2
    assert capsys.readouterr().err == "usage: python -m coldpath dispatch|worker\n"


@pytest.mark.parametrize(
    ("role", "settings", "told"),
    [
        ("dispatch", {"LIVEPATH_WEBHOOK_TOKEN": ""}, "set LIVEPATH_WEBHOOK_TOKEN"),
        ("dispatch", {"LIVEPATH_DISPATCHER_PORT": "many"}, "LIVEPATH_DISPATCHER_PORT: "),
        ("dispatch", {"LIVEPATH_S3_URL": "ftp://x"}, "S3 URL"),
        ("dispatch", {"LIVEPATH_DATABASE_URL": "mysql://x"}, "mysql databases are not supported"),
        ("worker", {"LIVEPATH_S3_URL": "ftp://x"}, "S3 URL"),
        ("worker", {"LIVEPATH_DATABASE_URL": "nonsense"}, "database URL cannot be read"),
        ("worker", {"LIVEPATH_BROKER_URL": "amqp://x"}, "LIVEPATH_BROKER_URL"),
        ("worker", {"LIVEPATH_WORKER_QUEUES": " , "}, "LIVEPATH_WORKER_QUEUES"),
        ("worker", {"LIVEPATH_VISIBILITY_TIMEOUT_S": "1"}, "LIVEPATH_VISIBILITY_TIMEOUT_S"),
    ],
)
def test_a_wrong_setting_is_one_line(
    refuse: Refuse, role: str, settings: dict[str, str], told: str
) -> None:
    error = refuse(role, **settings)
    assert told in error
    assert error.startswith(f"coldpath {role}: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("role", ["dispatch", "worker"])
def test_a_taken_port_is_one_line(refuse: Refuse, role: str, taken_port: str) -> None:
    error = refuse(role, LIVEPATH_DISPATCHER_PORT=taken_port, LIVEPATH_WORKER_PORT=taken_port)
    assert f"cannot listen on 127.0.0.1:{taken_port}" in error
    assert error.count("\n") == 1


def test_the_exit_status_says_it_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "coldpath", "dispatch"],
        cwd=ROOT,
        env={**os.environ, "LIVEPATH_WEBHOOK_TOKEN": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("coldpath dispatch: set LIVEPATH_WEBHOOK_TOKEN")
