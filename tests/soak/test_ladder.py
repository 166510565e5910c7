"""An event with a ladder and a crowd on it, for as long as it is asked for.

    make soak MINUTES=30

A stack as `livepath up` starts it; one event with two renditions beside its source; a publisher
that never tires; players (`players`), the conformance rules (`rules`) and the resident memory of
the media process and its children, all at once. What they found is a table, and JSON.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.accounting import usage
from benchmarks.publisher import Publisher
from benchmarks.stamped import Recipe, programme
from tests.soak.findings import Findings, Memory, clock
from tests.support.stack import RunningStack, running_stack

RENDITIONS = ["360p", "240p"]
SOURCE = Recipe(size="854x480", kbps=1200, seconds=8)
SAMPLE_S = 5.0
LINE_S = 30.0
"""Between two lines of progress where there is no terminal."""
LIVE_WITHIN_S = 60.0
END_WITHIN_S = 90.0
ROOT = Path(__file__).parents[2]


def describe(process: psutil.Process) -> str:
    """A process by the module that it runs."""
    command = process.cmdline()
    if "-m" in command:
        return command[command.index("-m") + 1]
    return Path(command[0]).name if command else process.name()


def memory(pid: int, at_s: float) -> Memory:
    """Resident memory of the process and of all that descends from it."""
    found: dict[str, int] = {}
    top = psutil.Process(pid)
    for one in [top, *top.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            name = describe(one)
            found[name] = found.get(name, 0) + one.memory_info().rss // 1024
    return Memory(at_s, found)


@asynccontextmanager
async def telling(
    module: str, *arguments: str, heard: Callable[[dict[str, Any]], None]
) -> AsyncIterator["asyncio.Task[int]"]:
    """A process of the soak whose lines of JSON are heard; the task is done when it has ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )

    async def listen() -> int:
        assert process.stdout is not None
        async for line in process.stdout:
            heard(json.loads(line))
        return await process.wait()

    listening = asyncio.create_task(listen())
    try:
        yield listening
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.wait([listening])


async def on_air(api: httpx2.AsyncClient, event: str) -> str:
    """The event's LL-HLS URL once the source and every rendition are listed."""
    async with asyncio.timeout(LIVE_WITHIN_S):
        while True:
            found = (await api.get(f"/v1/events/{event}")).json()
            url = str(found["playback"]["hls_url"])
            if found["state"] == "live":
                listed = await api.get(url)
                if all(f"\n{name}.m3u8" in listed.text for name in ("video", *RENDITIONS)):
                    return url
            await asyncio.sleep(0.5)


async def end(api: httpx2.AsyncClient, event: str) -> None:
    (await api.post(f"/v1/events/{event}/end")).raise_for_status()


class Watch:
    """Samples the stack while the soak lasts, and shows how far it is."""

    def __init__(self, stack: RunningStack, findings: Findings) -> None:
        self._stack, self._findings = stack, findings
        self._media = stack.pid("media")
        self._began = time.monotonic()
        self._cpu = usage([self._media])
        self._told: set[str] = set()

    async def run(self, *others: "asyncio.Task[int]") -> None:
        """Until the time is over, or one of the processes is."""
        console = Console(stderr=True)
        bar = Progress(
            TextColumn("soak"), BarColumn(), TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=console, disable=not console.is_terminal, transient=True,
        )  # fmt: skip
        with bar:
            task, told = bar.add_task("", total=self._findings.seconds), 0.0
            while (at := time.monotonic() - self._began) < self._findings.seconds:
                self._sample(at)
                self._tell_broken(console)
                bar.update(task, completed=at, description=self._words())
                if not console.is_terminal and at - told >= LINE_S:
                    told = at
                    console.print(f"{clock(at)} {self._words()}", highlight=False)
                await asyncio.wait(others, timeout=SAMPLE_S, return_when=asyncio.FIRST_COMPLETED)
                if early := [one for one in others if one.done()]:
                    self._findings.failures.append(f"{len(early)} processes ended early")
                    break
        self._findings.cpu_s["media"] = usage([self._media]).since(self._cpu)

    def _tell_broken(self, console: Console) -> None:
        """What broke since the last look: half an hour is long to wait for it."""
        broken = [w for level in ("MUST", "SHOULD") for w in self._findings.broken_rules(level)]
        for words in broken:
            if words not in self._told:
                self._told.add(words)
                console.print(words, highlight=False, markup=False)

    def _sample(self, at_s: float) -> None:
        if self._stack.status("media").pid != self._media:
            raise AssertionError(
                "the media process was replaced: " + self._stack.log("media")[-3000:]
            )
        self._findings.memory.append(memory(self._media, at_s))

    def _words(self) -> str:
        found = self._findings
        return (
            f"{found.playing} playing, {sum(found.errors.values())} errors, "
            f"{found.players['stalls']} stalls, {len(found.broken_rules('MUST'))} MUST broken in "
            f"{len(found.stretches)} stretches, {found.memory[-1].total_kb / 1024:.0f} MB"
        )


def troubles(stack: RunningStack) -> list[str]:
    """Errors in the media process's log."""
    records = [json.loads(line) for line in stack.log("media").splitlines() if line[:1] == "{"]
    return [
        f"the media process logged: {one.get('event')}"
        for one in records
        if one.get("level") in ("error", "critical")
    ]


async def trimmed(stack: RunningStack) -> list[str]:
    """Renditions that the machine could not encode."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{stack.endpoints.roles['media'].url}/metrics")).text
    found = [x for x in text.splitlines() if x.startswith("livepath_ladder_rungs_trimmed_total{")]
    return [f"a rendition was trimmed: {line}" for line in found if not line.endswith(" 0.0")]


async def test_a_ladder_under_a_crowd_breaks_no_rule_and_does_not_grow(
    tmp_path: Path, pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str]
) -> None:
    clients = int(pytestconfig.getoption("--clients"))
    seconds = 60 * float(pytestconfig.getoption("--minutes"))
    findings = Findings(clients, seconds)
    with capsys.disabled():
        async with running_stack(tmp_path / "data") as stack, stack.client() as api:
            await soak(stack, api, findings)
            findings.failures += [*troubles(stack), *await trimmed(stack)]
        findings.print(Console(width=None if sys.stdout.isatty() else 120))
    if path := pytestconfig.getoption("--json"):
        path.write_text(json.dumps(findings.as_json(), indent=1) + "\n")
    assert findings.problems() == []


async def soak(stack: RunningStack, api: httpx2.AsyncClient, findings: Findings) -> None:
    """The event from its first picture to its end, and everybody on it."""
    wanted = {"name": "a soak", "renditions": RENDITIONS}
    event = (await api.post("/v1/events", json=wanted)).raise_for_status().json()
    path = await asyncio.to_thread(programme, SOURCE)
    with Publisher(event["ingest"]["srt"]["url"], path=path):
        url, seconds = await on_air(api, event["id"]), findings.seconds
        crowd = ("--clients", str(findings.clients), "--seconds", str(seconds + END_WITHIN_S))
        async with (
            telling("tests.soak.players", url, *crowd, heard=findings.hear_players) as players,
            telling(
                "tests.soak.rules", url, "--seconds", str(seconds), heard=findings.hear_rules
            ) as rules,
        ):
            await Watch(stack, findings).run(players, rules)
            await end(api, event["id"])
            await asyncio.wait([players, rules], timeout=END_WITHIN_S)
            for name, task in (("players", players), ("rules", rules)):
                if not task.done():
                    findings.failures.append(f"{name} did not see the end of the event")
                elif task.result():
                    findings.failures.append(f"{name} ended with status {task.result()}")
