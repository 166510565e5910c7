"""A third party's functions: long work with checkpoints, and a job that kills whoever takes it.

Roles know this module through the metadata that `install` writes.
"""

import hashlib
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from coldpath.binding import Requested
from coldpath.context import JobContext
from coldpath.functions.registry import registry
from coldpath.records import JobResult, NewAsset
from infra.keys import ProgramKey, WorkKey

LABOUR, POISON = "labour", "poison"
PAUSE = "CHAOS_PAUSE_S"
"""Variable of the environment: how long a step of the labour takes."""
_LOOK_S = 0.05
_BYTES = "application/octet-stream"


def install(folder: Path) -> str:
    """Writes the metadata of an installed package; returns PYTHONPATH with it."""
    package = folder / "labour-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: labour\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(f"[livepath.functions]\nlabour = {__name__}\n")
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


@registry.function(LABOUR, on=Requested, queue="bulk", max_attempts=8, backoff_base_ms=500)
def labour(context: JobContext) -> JobResult:
    """Makes one part after the other, with a checkpoint behind each, and a whole of them."""
    name, steps = str(context.params["name"]), int(context.params["steps"])
    pause_s = float(os.environ.get(PAUSE, "0"))
    for step in range(int(context.resumed.get("done", 0)), steps):
        until = time.monotonic() + pause_s
        while time.monotonic() < until:
            context.check()
            time.sleep(_LOOK_S)
        context.put(_key(context, f"{name}-{step}.bin"), part(name, step), _BYTES)
        context.progress(step + 1, steps)
        context.checkpoint({"done": step + 1})
    # Read back: what an earlier attempt made counts only if it is really there.
    made = [context.store.get(_key(context, f"{name}-{step}.bin")) for step in range(steps)]
    key = _key(context, f"{name}.bin")
    stored = context.put(key, b"".join(made), _BYTES)
    asset = NewAsset(LABOUR, key, _BYTES, stored.bytes, None, {"steps": steps})
    return JobResult({"keys": [key]}, [asset])


@registry.function(POISON, on=Requested, queue="bulk", max_attempts=3, backoff_base_ms=500)
def poison(context: JobContext) -> JobResult:
    """Kills its process, as a codec with a bug does."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it lives")


def part(name: str, step: int) -> bytes:
    """2 KB that no other step has."""
    return hashlib.sha256(f"{name}/{step}".encode()).digest() * 64


def asked(name: str, steps: int) -> Mapping[str, object]:
    """Parameters of the labour."""
    return {"name": name, "steps": steps}


def _key(context: JobContext, name: str) -> str:
    lease = context.lease
    program = ProgramKey(lease.project, lease.event, lease.feed)
    return str(WorkKey(program, "i0", LABOUR, name))
