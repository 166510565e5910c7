"""How long a viewer waits for an instant clip: from the request until the clip can be played.

On an embedded stack over HTTP, as a client sees it: the API files the job, rings, the dispatcher
sends it, a worker writes the playlist, the ledger is told. The event and what was recorded of it
stand in database and bucket beforehand.
"""

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy.orm import Session as Rows

from benchmarks.cold_platform import ROLES
from benchmarks.whep_clients import percentiles
from infra.db.control import Event
from infra.db.engine import sync_engine
from infra.keys import ProgramKey
from infra.lifecycle import EventState
from infra.storage.objects import ObjectStore
from tests.support.session import EPOCH_NS, encode, session
from tests.support.stack import RunningStack, stack_on_thread

TARGET_MS = 500.0
EVENT = "ev_benchmark"
_PROJECT = "default"
_INCARNATION = "loyw3v28"
"""A media node's name for one that began at the epoch."""
_RECORDED_S = 6.0
_POLL_S = 0.01
_PATIENCE_S = 30.0

Row = dict[str, Any]


def measure(clips: int, say: Callable[[str], None]) -> Row:
    say("a stack is started ...")
    with (
        tempfile.TemporaryDirectory(prefix="livepath-") as folder,
        stack_on_thread(Path(folder) / "data", only=ROLES) as stack,
    ):
        _record(stack)
        say(f"{clips} instant clips, one after the other ...")
        headers = {"Authorization": f"Bearer {stack.api_key}"}
        url = stack.endpoints.control_url
        with httpx2.Client(base_url=url, headers=headers, trust_env=False) as client:
            _clip_ms(client, 0)  # a pool process opens its store with its first job
            found = [_clip_ms(client, number + 1) for number in range(clips)]
    ready = percentiles(found, 1) or {}
    return {
        "clips": clips,
        "ready_ms": ready,
        "target_ms": TARGET_MS,
        "met": ready.get("p95", 0.0) <= TARGET_MS,
    }


def _record(stack: RunningStack) -> None:
    """A live event with some seconds behind it."""
    whole = session(
        ProgramKey(_PROJECT, EVENT), _INCARNATION, *encode(_RECORDED_S, bframes=0, gop=25)
    )
    with ObjectStore.from_url(stack.endpoints.s3_url) as store:
        store.ensure_bucket()
        for key, data in whole.objects.items():
            store.put(key, data, "video/mp4")
    now_ms = time.time_ns() // 1_000_000
    engine = sync_engine(stack.endpoints.database_url)
    with Rows(engine) as rows, rows.begin():
        rows.add(
            Event(
                id=EVENT,
                project=_PROJECT,
                name=EVENT,
                state=EventState.LIVE.value,
                access="public",
                kid="k1",
                started_ms=EPOCH_NS // 1_000_000,
                created_ms=now_ms,
                updated_ms=now_ms,
            )
        )
    engine.dispose()


def _clip_ms(client: httpx2.Client, number: int) -> float:
    began = time.monotonic()
    start = datetime.fromtimestamp(EPOCH_NS / 1e9, UTC) + timedelta(seconds=0.1 * number)
    wanted = {"start": start.isoformat(), "end": (start + timedelta(seconds=1)).isoformat()}
    posted = client.post(f"/v1/events/{EVENT}/clips", json=wanted)
    posted.raise_for_status()
    while time.monotonic() - began < _PATIENCE_S:
        clip = client.get(posted.headers["Location"]).json()
        if clip["state"] == "succeeded":
            return (time.monotonic() - began) * 1000
        if clip["state"] == "dead":
            break
        time.sleep(_POLL_S)
    raise RuntimeError(f"no clip: {clip}")
