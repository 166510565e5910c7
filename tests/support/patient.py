"""A third party's functions, for tests of who runs them, for how long and how often.

Files in the folder that `params` names let a test hold them and see what they did. Roles know this
module through the metadata that `install` writes.
"""

import os
import time
from pathlib import Path

from celery.exceptions import SoftTimeLimitExceeded

from coldpath.binding import Requested
from coldpath.context import JobContext
from coldpath.functions.registry import registry
from coldpath.records import JobResult

QUEUE = "patient"
LOOK_S = 0.01


def install(folder: Path) -> str:
    """Writes the metadata of an installed package; returns PYTHONPATH with it."""
    package = folder / "patient-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: patient\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(f"[livepath.functions]\npatient = {__name__}\n")
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


@registry.function("steps", on=Requested, queue=QUEUE)
def steps(context: JobContext) -> JobResult:
    """Does step after step as the test lets it, none twice, with a checkpoint after each."""
    folder, count = Path(context.params["folder"]), int(context.params["steps"])
    for step in range(int(context.resumed.get("done", 0)), count):
        (folder / f"waits{step}").touch()
        while not (folder / f"go{step}").exists():
            context.check()
            time.sleep(LOOK_S)
        with (folder / f"did{step}").open("x") as did:
            did.write(str(context.lease.attempt))
        context.checkpoint({"done": step + 1})
    return JobResult({"steps": count})


@registry.function("held", on=Requested, queue=QUEUE, per_project=1)
def held(context: JobContext) -> JobResult:
    """Waits until it may go; one of a project at a time."""
    while not Path(context.params["go"]).exists():
        context.check()
        time.sleep(LOOK_S)
    return JobResult()


@registry.function("slow", on=Requested, queue=QUEUE, timeout_s=1, backoff_base_ms=1)
def slow(context: JobContext) -> JobResult:
    """Never comes to an end, the first time."""
    while context.lease.attempt == 1:
        time.sleep(LOOK_S)
    return JobResult()


@registry.function("deaf", on=Requested, queue=QUEUE, timeout_s=1)
def deaf(context: JobContext) -> JobResult:
    """The same, and does not let itself be told."""
    while context.lease.attempt == 1:
        try:
            time.sleep(LOOK_S)
        except SoftTimeLimitExceeded:
            (Path(context.params["folder"]) / "told").touch()
    return JobResult()
