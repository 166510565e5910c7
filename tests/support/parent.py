"""A supervisor in a process of its own, for tests that kill it: `parent.py DATA_DIR ROLE...`."""

import asyncio
import sys
from pathlib import Path

from infra.supervisor import Stack, StackOptions


async def main(data_dir: Path, roles: frozenset[str]) -> None:
    options = StackOptions(data_dir=data_dir, port_base=0, only=roles)
    async with Stack(options) as stack:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await stack.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), frozenset(sys.argv[2:])))
