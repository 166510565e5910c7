import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from infra.cli.hints import paste_lines
from infra.supervisor.endpoints import Endpoints


def endpoints(key_file: Path) -> Endpoints:
    return Endpoints(
        advertise="h",
        control_url="http://h:1",
        media_url="http://h:2",
        srt_url="srt://h:3",
        player_url_template="http://h:1/watch/{event}",
        broker_url="redis://h/0",
        bus_url="redis://h/0",
        s3_url="s3://b",
        database_url="sqlite:///x",
        webhook_url="http://h:4/events/seaweedfs",
        api_key_file=str(key_file),
        roles={},
    )


def fake(folder: Path, name: str, body: str) -> Path:
    """A program that notes its arguments, one per line, and then runs `body`."""
    path = folder / name
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "$0.args"\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.skipif(shutil.which("python3") is None, reason="the lines call python3")
def test_the_lines_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    data = tmp_path / "data dir"
    data.mkdir()
    (data / "api-key").write_text("lp_secret")
    srt = "srt://h:3?streamid=ev_1/k1.0.abc&passphrase=pw&latency=120000"
    event = {
        "id": "ev_1",
        "ingest": {"srt": {"url": srt}},
        "playback": {"player_url": "http://h:1/watch/ev_1"},
    }
    (tmp_path / "answer.json").write_text(json.dumps(event))
    programs = tmp_path / "programs with spaces"
    programs.mkdir()
    curl = fake(programs, "curl", f"cp '{tmp_path}/answer.json' event.json")
    ffmpeg = fake(programs, "ffmpeg", "")
    text = paste_lines(endpoints(data / "api-key"), str(ffmpeg))
    done = subprocess.run(
        ["sh", "-eu", "-c", f'PATH="{programs}:$PATH"\n{text}'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "http://h:1/watch/ev_1\n"
    assert "http://h:1/operator" in text
    assert "Authorization: Bearer lp_secret" in Path(f"{curl}.args").read_text()
    sent = Path(f"{ffmpeg}.args").read_text().splitlines()
    assert sent[-1] == srt
