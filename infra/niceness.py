"""How a process gives way to others on its machine.

Linux weighs sessions against each other before it looks at the nice values inside one (autogroup,
sched(7)), and each role is a session of its own: without the session's value a nice process still
takes half of a core from a live one.
"""

import os
from contextlib import suppress
from pathlib import Path

_AUTOGROUP = Path("/proc/self/autogroup")


def give_way(by: int) -> None:
    """Raises the nice value of this process by so much, and sets that of its session where the
    process leads it and the kernel has one. `by` is 1 to 19."""
    os.nice(by)
    if os.getsid(0) == os.getpid():
        # Not there: the kernel does not group by session, and nice values do all.
        with suppress(OSError):
            _AUTOGROUP.write_text(str(by))
