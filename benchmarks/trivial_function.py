"""A function that does nothing but say when it began, as a package that is installed beside roles.

What a job costs then is what the platform costs. `install` writes the metadata of the package.
"""

import os
import time
from pathlib import Path

from coldpath.context import JobContext
from coldpath.functions.registry import registry
from coldpath.records import JobResult
from infra.keys import ProgramKey, WorkKey

KIND = "bench"
PROGRAM = ProgramKey("bench", "ev_bench")
ROOT = Path(__file__).resolve().parents[1]


def key(number: int) -> str:
    """Of an object that starts the function."""
    return str(WorkKey(PROGRAM, "i1", KIND, f"o{number}"))


def install(folder: Path, *modules: str) -> str:
    """Writes the metadata of an installed package; returns PYTHONPATH with it."""
    package = folder / "benchmark_functions-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: benchmark-functions\nVersion: 1.0\n"
    )
    entries = [f"{module.rpartition('.')[2]} = {module}" for module in modules]
    (package / "entry_points.txt").write_text("\n".join(["[livepath.functions]", *entries, ""]))
    return os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")])


@registry.function("trivial", on=WorkKey, when=lambda key: key.kind == KIND, queue="fast")
def trivial(_: JobContext) -> JobResult:
    """Notes the time of its first line."""
    return JobResult({"began_ns": time.time_ns()})
