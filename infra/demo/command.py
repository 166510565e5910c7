"""`livepath demo`: the command line around one run on a stack of its own."""

import asyncio
import json
import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Annotated

import httpx2
import typer
from rich.console import Console

from infra.demo.api import Api
from infra.demo.encoder import Encoder
from infra.demo.errors import DemoError
from infra.demo.programme import Programme
from infra.demo.progress import step
from infra.demo.report import Findings, print_report
from infra.demo.run import FPS, HEIGHT, LIVE_TIMEOUT_S, RENDITIONS, WIDTH, Demo, publish, running
from infra.errors import LivepathError
from infra.supervisor import Endpoints, Stack, StackOptions
from infra.supervisor.options import can_transcribe

MEASURED_ROLES = ("media", "uploader")
INTERRUPTED = 130
A_DAY_S = 86400.0


def demo_command(
    seconds: Annotated[float, typer.Option(min=4, max=3600, help="How long to broadcast.")] = 30.0,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the findings here.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Go on broadcasting afterwards, until Ctrl-C.")
    ] = False,
) -> None:
    """Run one event end to end on this machine and measure it.

    Starts a whole stack in a temporary folder, publishes a test picture over encrypted SRT, watches
    it over LL-HLS and WebRTC, changes between its renditions, waits for the archive and compares it
    with what was sent.
    """
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="livepath-demo-"))
    code = 1
    try:
        code = asyncio.run(_main(console, folder, seconds, json_file, keep=keep))
    except asyncio.CancelledError:
        console.print("Stopped.")
        code = INTERRUPTED
    except LivepathError as error:
        console.print(f"[red]✗[/red] {error}", highlight=False)
    finally:
        if code == 1:
            console.print(f"Logs and data are kept in {folder}", highlight=False)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    raise typer.Exit(code)


async def _main(
    console: Console, folder: Path, seconds: float, json_file: Path | None, *, keep: bool
) -> int:
    stack = Stack(StackOptions(data_dir=folder, port_base=0, captions=can_transcribe(os.environ)))
    _stop_on_signals(stack)
    try:
        with step(console, "Starting Valkey, S3, control, media, uploader, dispatcher and worker"):
            await stack.start()
        async with _client(stack.endpoints) as client:
            api = Api(client)
            findings = await Demo(
                api, _metrics_urls(stack.endpoints), console, captions=stack.options.captions
            ).run(seconds)
            print_report(console, findings)
            _write(json_file, findings)
            if keep:
                await _stay(console, stack, api, findings.page_url)
    finally:
        await stack.stop()
    return 1 if findings.problems() else 0


def _stop_on_signals(stack: Stack) -> None:
    """The first Ctrl-C, SIGTERM or hang-up stops in order, the second at once."""
    task = asyncio.current_task()
    stopping = False

    def stop() -> None:
        nonlocal stopping
        if stopping:
            stack.kill()
        elif task is not None:
            task.cancel()
        stopping = True

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def _client(endpoints: Endpoints) -> httpx2.AsyncClient:
    key = Path(endpoints.api_key_file).read_text(encoding="utf-8").strip()
    return httpx2.AsyncClient(
        base_url=endpoints.control_url,
        headers={"Authorization": f"Bearer {key}"},
        timeout=15.0,
        trust_env=False,  # everything is on this machine, whatever proxy the user has
    )


def _metrics_urls(endpoints: Endpoints) -> dict[str, str]:
    urls = {role: endpoints.roles[role].url for role in MEASURED_ROLES}
    return {role: url for role, url in urls.items() if url}


def _write(json_file: Path | None, findings: Findings) -> None:
    if json_file is not None:
        json_file.write_text(json.dumps(findings.as_json(), indent=2) + "\n", encoding="utf-8")


async def _stay(console: Console, stack: Stack, api: Api, recorded: str) -> None:
    """Broadcast a second event for people to look at, until the user stops it. `recorded`: the
    page of the first."""
    event = await api.create_event("Livepath demo, live", renditions=RENDITIONS)
    with Encoder(event["ingest"]["srt"]["url"], Programme(WIDTH, HEIGHT, FPS)) as encoder:
        async with running(publish(encoder, A_DAY_S)) as publishing:
            await api.wait_for_state(event["id"], {"live"}, LIVE_TIMEOUT_S)
            console.print("\n[bold]Still running.[/bold] Ctrl-C stops everything.")
            for label, value in (
                ("Player", event["playback"]["player_url"]),
                ("Recorded", recorded),
                ("LL-HLS", event["playback"]["hls_url"]),
                ("API", f"{stack.endpoints.control_url}/openapi.json"),
                ("API key", stack.endpoints.api_key_file),
            ):
                console.print(f"{label:8} {value}", highlight=False, soft_wrap=True)
            await publishing
    raise DemoError("the broadcast ended")
