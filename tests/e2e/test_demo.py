"""`livepath demo` as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from infra.telemetry.stages import STAGES

SECONDS = 8
LIVEPATH = [sys.executable, "-c", "from infra.cli import main; main()"]


@pytest.mark.slow
def test_demo_measures_every_stage_and_finds_every_frame(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    done = subprocess.run(
        [*LIVEPATH, "demo", "--seconds", str(SECONDS), "--json", str(found)],
        cwd=Path(__file__).parents[2],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=230,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    body = json.loads(found.read_text())
    assert set(body) == {"ok", "hls", "stages_ms", "archive", "jobs"}
    assert body["ok"] is True
    assert set(body["stages_ms"]) == set(STAGES)
    for values in (*body["stages_ms"].values(), body["hls"]["glass_to_glass_ms"]):
        assert 0 < values["p50"] <= values["p95"]
    # A frame is packaged before it is shown, and shown later than its hold-back.
    assert body["hls"]["glass_to_glass_ms"]["p50"] > 645
    assert body["archive"]["frames_sent"] == SECONDS * 30
    assert body["archive"]["frames_decoded"] == SECONDS * 30
    assert body["archive"]["audio"] is True
    assert [(job["function"], job["state"]) for job in body["jobs"]] == [("archive", "succeeded")]
    assert "Everything arrived" in done.stdout
    assert not list(tmp_path.glob("livepath-demo-*")), "the temporary folder was left behind"
    assert not [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(tmp_path) in part for part in process.info["cmdline"] or [])
    ]


def test_demo_explains_its_options() -> None:
    done = subprocess.run([*LIVEPATH, "demo", "--help"], capture_output=True, text=True, check=True)
    for option in ("--seconds", "--json", "--keep"):
        assert option in done.stdout
