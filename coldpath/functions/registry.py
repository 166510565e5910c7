"""The functions that dispatcher and worker know.

Livepath's own register on import. A third party's package adds an entry point in the group
`livepath.functions` that names a module; the module decorates its functions with
`registry.function(...)` from here.
"""

import importlib
from importlib.metadata import entry_points

from coldpath.binding import Registry
from coldpath.context import JobFunction

ENTRY_POINTS = "livepath.functions"
_OWN = (
    "coldpath.functions.archive",
    "coldpath.functions.captions",
    "coldpath.functions.clips",
    "coldpath.functions.mp4",
    "coldpath.functions.replay",
    "coldpath.functions.storyboard",
    "coldpath.functions.thumbnails",
)
_CAPTIONS = ("captions", "captions-live")

registry: Registry[JobFunction] = Registry()


def load(*, captions: bool = False) -> Registry[JobFunction]:
    """Imports every function there is; later calls cost little. `captions`: with those that
    transcribe, whose jobs wait for ever where no worker can."""
    for module in _OWN:
        importlib.import_module(module)
    for entry in entry_points(group=ENTRY_POINTS):
        entry.load()
    return registry if captions else registry.without(_CAPTIONS)
