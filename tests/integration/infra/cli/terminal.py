"""Somebody's shell, for the commands over the API."""

import asyncio
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
