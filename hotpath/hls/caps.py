"""Viewers with a cap: their multivariant playlists, and what they may not read.

Invariant: there is one list for each multivariant playlist and rung, whatever the number of
viewers, so that caches share it as they share everything else: `index-720p.m3u8`,
`index-captions-720p.m3u8`. Pure. Upstream: `origin` and `edge`, which know the viewer's cap.
Downstream: `live`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from hotpath.hls.names import MULTIVARIANT
from infra.captions_group import WITH_CAPTIONS
from infra.renditions import RUNGS

_SUFFIX = ".m3u8"


def capped(name: str, cap: str) -> str:
    """The multivariant playlist `name` for viewers with this cap."""
    return f"{name.removesuffix(_SUFFIX)}-{cap}{_SUFFIX}"


CAPPED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {capped(name, cap): (name, cap) for name in (MULTIVARIANT, WITH_CAPTIONS) for cap in RUNGS}
)
"""Name -> the one without a cap, and the cap."""


def multivariant_under(name: str, cap: str) -> str | None:
    """What stands in for a multivariant playlist; None: `name` is something else."""
    base, asked = CAPPED.get(name, (name, cap))
    if base not in (MULTIVARIANT, WITH_CAPTIONS):
        return None
    return capped(base, min(asked, cap, key=lambda one: RUNGS[one].height))


def rendition_of(name: str) -> str:
    """Whose playlist or media a name below a programme's URL is."""
    folder, slash, rest = name.partition("/")
    return rest.partition("/")[0] if slash else folder.removesuffix(_SUFFIX)
