"""A feed of one programme: who watches it, and which encodes it asked for."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from hotpath.bus.stream import ProgramStream
from hotpath.fanout.feed import Feed
from hotpath.fanout.transcode import OnOutput
from hotpath.media.unit import Codec, Unit
from infra.keys import ProgramKey

KEY = ProgramKey("acme", "ev_1")


@dataclass(eq=False)
class Watcher:
    ready: int = 0
    told: int = 0

    def video_ready(self) -> None:
        self.ready += 1

    def renditions_changed(self) -> None:
        self.told += 1


@dataclass
class Encoder:
    target: Codec
    on_output: OnOutput
    got: list[Unit] = field(default_factory=list)
    closed: bool = False

    def send(self, units: Sequence[Unit]) -> None:
        self.got += units

    def close(self) -> None:
        self.closed = True


@dataclass
class Rig:
    feed: Feed
    encoders: list[Encoder]
    asked: list[None]
    tasks: list["asyncio.Task[None]"]


async def settled() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


def on_air(rig: Rig) -> ProgramStream:
    stream = ProgramStream(KEY, "i1")
    rig.feed.follow(stream)
    return stream


def names(rig: Rig) -> list[str]:
    return [rendition.name for rendition in rig.feed.renditions]
