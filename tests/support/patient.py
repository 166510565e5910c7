"""A third party's functions, for tests of who runs them, for how long and how often.

Files in the folder that `params` names let a test hold them and see what they did. Roles know this
module through the metadata that `install` writes.
"""

import os
import subprocess
import time
from pathlib import Path

from celery.exceptions import SoftTimeLimitExceeded

from coldpath.binding import Requested
from coldpath.context import JobContext
from coldpath.functions.registry import registry
from coldpath.records import JobResult

QUEUE = "patient"
LOOK_S = 0.01
_SLEEPS = "trap : TERM; echo $$ > {0}.new; mv {0}.new {0}; while :; do sleep 1; done"


def install(folder: Path) -> str:
    """Writes the metadata of an installed package; returns PYTHONPATH with it."""
    describe(folder, "patient", __name__)
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


def describe(folder: Path, name: str, module: str) -> None:
    """The metadata of a package whose entry point names the module."""
    package = folder / f"{name}-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(f"[livepath.functions]\n{name} = {module}\n")


BROKEN = """
from coldpath.binding import Requested
from coldpath.functions.registry import registry

@registry.function("half", on=Requested, queue="patient")
def half(context):
    pass

import a_library_that_nobody_installed
"""


def install_broken(folder: Path) -> str:
    """A package that cannot be imported, behind a function that it registers before."""
    describe(folder, "half", "half_done")
    (folder / "half_done.py").write_text(BROKEN)
    return str(folder)


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


@registry.function("parent", on=Requested, queue=QUEUE, timeout_s=1, backoff_base_ms=1)
def parent(context: JobContext) -> JobResult:
    """Starts a program that starts another one, in a session of its own; neither ends. Does not
    come to an end itself, the first time, and where it is `deaf` does not let itself be told."""
    folder = Path(context.params["folder"])
    if context.lease.attempt > 1:
        return JobResult()
    grandchild = _SLEEPS.format(folder / "grandchild")
    subprocess.Popen(["sh", "-c", f"setsid sh -c '{grandchild}' & sleep 999"])
    subprocess.Popen(["sh", "-c", _SLEEPS.format(folder / "child")])
    while True:
        try:
            time.sleep(LOOK_S)
        except SoftTimeLimitExceeded:
            if not context.params["deaf"]:
                raise
