"""Which objects an attempt may write and list: those of its own event.

Invariant: a key that passes names the lease's project and event, so no function, whoever wrote it,
makes or lists an object of another tenant; and it is of a kind that functions make (`vod/`,
`work/`), so none passes for what was recorded. The grammar is that of `infra.keys`.

Upstream: `coldpath.context` for what is written, `coldpath.runner` for what is listed.
"""

from coldpath.errors import KeyRefused
from coldpath.records import Lease
from infra.keys import VodKey, WorkKey, parse


def require_own(lease: Lease, key: str) -> None:
    """Raises `KeyRefused` unless the attempt's function may make an object of this name."""
    parsed = parse(key)
    if not isinstance(parsed, VodKey | WorkKey):
        raise KeyRefused(
            f"{lease.function} may not make {key!r}: keys of functions are "
            "vod/{project}/{event}/{feed}/{content}/{name} or "
            "work/{project}/{event}/{feed}/{incarnation}/{kind}/{name}"
        )
    program = parsed.program
    if (program.project, program.event) != (lease.project, lease.event):
        raise KeyRefused(
            f"{lease.function} may not make {key!r}: the job is of event {lease.event} "
            f"of project {lease.project}"
        )
