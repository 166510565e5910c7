"""This server, for a benchmark: a real media process on free ports, published to over SRT.

No control plane runs: the desired state lies on disk, as after an outage of everything else.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.publisher import Publisher
from benchmarks.stamped import Recipe, programme
from tests.support.medianode import srt_url
from tests.support.webrtc import Node, media_node

# The benchmark asks for more viewers at once, and all from one address, than a node lets in.
UNLIMITED = {
    "max_viewers": "20000",
    "max_viewers_per_ip": "0",
    "joins_per_s": "10000",
    "joins_per_s_per_ip": "0",
}
NEVER_BUSY = {"max_busy": "0"}
"""Take in whoever comes, to see what they cost beyond what the machine can carry."""


@contextmanager
def on_cores(cores: Sequence[int]) -> Iterator[None]:
    """What is started in the block inherits these cores."""
    before = os.sched_getaffinity(0)
    if cores:
        os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def livepath_server(
    *,
    recipe: Recipe | None = None,
    cores: Sequence[int] = (),
    also: Sequence[str] = (),
    **settings: str,
) -> Iterator[Node]:
    """The publisher runs on the caller's cores. `also`: SRT URLs that get the same bytes."""
    path, caller = programme(recipe or Recipe()), sorted(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryDirectory(prefix="livepath-") as folder,
        on_cores(cores),
        media_node(Path(folder), **(UNLIMITED | settings)) as node,
        on_cores(caller),  # the media process has inherited its own
        Publisher(srt_url(node.media, node.desired), *also, path=path),
    ):
        node.until_on_air()
        yield node
