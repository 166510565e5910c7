"""Somebody's shell, for the commands over the API."""

import asyncio
import signal
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from infra.cli.app import app


class Terminal:
    """Runs the commands of one group of `livepath`."""

    def __init__(self, group: str, url: str, key: str, data_dir: Path) -> None:
        self._group = group
        self._environment = {
            "LIVEPATH_API_URL": url,
            "LIVEPATH_API_KEY": key,
            "LIVEPATH_DATA_DIR": str(data_dir),
        }

    async def run(self, *words: str, **environment: str) -> Result:
        env = self._environment | environment
        return await asyncio.to_thread(CliRunner().invoke, app, [self._group, *words], env=env)

    async def lines(self, *words: str) -> list[str]:
        done = await self.run(*words)
        assert done.exit_code == 0, done.output
        return done.output.splitlines()


class Process:
    """A command in a process of its own, through pipes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, url: str, key: str, group: str, *words: str) -> "Process":
        code = "from infra.cli import main; main()"
        return cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", code, group, "--url", url, "--key", key, *words),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        )

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode()

    async def end(self) -> tuple[int | None, str, str]:
        out, err = await self.process.communicate()
        return self.process.returncode, out.decode(), err.decode()

    async def interrupt(self) -> tuple[int | None, str, str]:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return await self.end()
