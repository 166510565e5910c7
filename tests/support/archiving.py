"""How soon what a long event leaves behind is ready, measured at the end of one."""

import posixpath
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.storage.objects import ObjectStore
from tests.support.long_event import Told, long_event
from tests.support.looped import Loop
from tests.support.stack import RunningStack

ARCHIVE_WITHIN_S = 10.0
PATIENCE_S = 300.0
POLL_S = 0.02
MADE = ("vod", "mp4", "poster", "storyboard")
"""Kinds of assets, besides those made while the event is live."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Seconds from the end of the event."""

    archived: float
    """Until the event was archived."""
    listed: dict[str, float]
    """Until an asset of each kind was listed, as the database says."""
    entries: int
    """Of the source's VOD playlist."""
    length_s: float
    """The sum of their durations."""


def archive_of(
    stack: RunningStack,
    folder: Path,
    loop: Loop,
    seconds: float,
    told: Told = lambda _: None,
    *,
    number: int = 1,
) -> Ready:
    """Airs an event that lasts so long, a stack's `number`th, and sees what is made of it."""
    with long_event(stack, f"long-{seconds:g}-{number}", folder) as event:
        told(f"an event of {seconds:g} s, through the spool ...")
        ended = event.air(loop, seconds, told)
        _until(lambda: event.state() == "archived")
        archived = time.time() - ended
        told(f"archived after {archived:.2f} s")
        _until(lambda: set(MADE) <= set(event.assets()))
        assets = event.assets()
        listed = {kind: assets[kind].created_ms / 1000 - ended for kind in MADE}
        with ObjectStore.from_url(stack.endpoints.s3_url) as store:
            entries = _durations(store, assets["vod"].key)
    return Ready(archived, listed, len(entries), sum(entries))


def _durations(store: ObjectStore, multivariant: str) -> list[float]:
    """Seconds of the source's segments, each of which is in the bucket."""
    folder = posixpath.dirname(multivariant)
    lines = store.get(f"{folder}/video.m3u8").decode().splitlines()
    assert lines[-1] == "#EXT-X-ENDLIST"
    named = [line for line in lines if line and not line.startswith("#")]
    there = {info.key for info in store.list(posixpath.normpath(f"{folder}/{named[0]}/.."))}
    assert {posixpath.normpath(f"{folder}/{uri}") for uri in named} <= there
    return [float(line[8:].rstrip(",")) for line in lines if line.startswith("#EXTINF:")]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:g} s"
        time.sleep(POLL_S)
