"""Runs a function of the cold path in the test's process, as its job would be run."""

import threading
from pathlib import Path
from typing import Any

from coldpath.context import Ends, JobContext
from coldpath.functions.registry import load
from coldpath.ledger import Ledger
from coldpath.plan import ObjectVersion, plan
from coldpath.records import JobResult
from infra.storage.memory import MemoryObjectStore


class CountingStore(MemoryObjectStore):
    """Counts what is read and written."""

    def __init__(self) -> None:
        super().__init__()
        self.gets: list[str] = []
        self.puts: list[str] = []

    def get(self, key: str) -> bytes:
        self.gets.append(key)
        return super().get(key)

    def put(self, key: str, *rest: Any, **named: Any) -> str:
        self.puts.append(key)
        return super().put(key, *rest, **named)

    def segments_read(self) -> list[str]:
        return [key for key in self.gets if key.endswith(".m4s")]


def attempt(
    name: str,
    ledger: Ledger,
    store: MemoryObjectStore,
    of: str,
    folder: Path,
    *,
    stops: bool = False,
) -> JobResult:
    """One more attempt at the job that the function `name` has for the object `of`.

    `stops`: the worker is about to go, so the attempt ends at its first checkpoint.
    """
    functions = load(captions=True)
    function = functions.get(name)
    requests = [one for one in plan([ObjectVersion(of, "v1")], functions) if one.function == name]
    assert function is not None
    assert len(requests) == 1, f"{name} does not want {of}"
    ledger.file(requests)
    job = requests[0].id
    lease = ledger.lease(job, "w/1") or ledger.lease(job, "w/2", dead_owner="w/1")
    assert lease is not None
    ends = Ends(threading.Event(), lambda: stops)
    result = function.run(JobContext(lease, ledger, store, folder, ends))
    assert isinstance(result, JobResult)
    return result
