"""`python -m hotpath`: what it says and how it ends when it cannot run."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


def run(data: Path, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("LIVEPATH_")},
        "LIVEPATH_DATA_DIR": str(data),
        "LIVEPATH_MEDIA_PORT": "0",
        "LIVEPATH_SRT_PORT": "0",
        "LIVEPATH_BUS_URL": "redis://127.0.0.1:1/0",
        **settings,
    }
    return subprocess.run(
        [sys.executable, "-m", "hotpath", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def last_line(result: "subprocess.CompletedProcess[str]") -> str:
    return result.stderr.strip().splitlines()[-1]


def test_a_bad_setting_is_one_line_and_status_2(tmp_path: Path) -> None:
    result = run(tmp_path, LIVEPATH_MEDIA_PORT="no port")
    assert result.returncode == 2
    (line,) = result.stderr.strip().splitlines()
    assert "LIVEPATH_MEDIA_PORT" in line


def test_a_bus_url_that_cannot_be_read_is_status_2(tmp_path: Path) -> None:
    result = run(tmp_path, LIVEPATH_BUS_URL="nonsense")
    assert result.returncode == 2
    assert "redis://" in last_line(result)


def test_an_unknown_role_is_told_the_usage(tmp_path: Path) -> None:
    result = run(tmp_path, "dance")
    assert result.returncode == 2
    assert result.stderr.startswith("usage:")


def test_a_taken_http_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run(tmp_path, LIVEPATH_MEDIA_PORT=port)
    assert result.returncode == 2
    assert port in last_line(result)


def test_a_taken_srt_port_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        result = run(tmp_path, LIVEPATH_SRT_PORT=port)
    assert result.returncode == 2
    assert port in last_line(result)
