"""The functions that dispatcher and worker know.

Livepath's own register on import. A third party's package adds an entry point in the group
`livepath.functions` that names a module; the module decorates its functions with
`registry.function(...)` from here.

Invariant: a package that cannot be imported takes nothing from the others: what it had registered
by then is forgotten, and why it is missing is kept for those who look for its functions.
"""

import importlib
import logging
from importlib.metadata import EntryPoint, entry_points

from coldpath.binding import Registry
from coldpath.context import JobFunction
from coldpath.storable import said

log = logging.getLogger(__name__)

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
        if entry.name not in registry.broken:
            _load(entry)
    return registry if captions else registry.without(_CAPTIONS)


def _load(entry: EntryPoint) -> None:
    try:
        with registry.all_or_none():
            entry.load()
    except (Exception, SystemExit) as error:
        # The module is anybody's; what it does when it is imported is, too.
        log.exception("%s = %s of %s cannot be loaded", entry.name, entry.value, ENTRY_POINTS)
        registry.broken[entry.name] = f"{entry.value} cannot be loaded: {said(error)}"
