"""A real Postgres for tests: a throwaway cluster on a free port, removed afterwards.

The server refuses to run as root, so then it runs as `postgres` or, without that user, `nobody`.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from tests.support.certificates import certified
from tests.support.valkey import dying_with_us, free_port

_START_S = 30.0
_INSTALL = (
    "Postgres is needed for these tests and was not found in /usr/lib/postgresql or PATH; run: "
    "sudo apt-get install -y --no-install-recommends postgresql"
)


def _binaries() -> Path:
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda path: int(re.sub(r"\D.*", "", path.parts[-3]) or 0),
    )
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        raise RuntimeError(_INSTALL)
    return (found[-1] if found else Path(str(on_path)).resolve()).parent


def _unprivileged() -> dict[str, Any]:
    """How to start a child that is not root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class PostgresServer:
    """One cluster; `stop` and `start` keep its port and data."""

    def __init__(self, *, follow: "PostgresServer | None" = None) -> None:
        """`follow`: be a standby of that one, which is running."""
        self.port = free_port()
        self._binaries = _binaries()
        self._identity = _unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="livepath-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        if self._identity:
            os.chown(self._folder, self._identity["user"], self._identity["group"])
        self._options: Sequence[str] = () if follow is None else follow._options
        command = [
            self._binaries / "initdb",
            *("-D", self._folder / "data", "-U", "livepath"),
            *("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"),
        ]
        if follow is not None:
            command = [
                self._binaries / "pg_basebackup",
                *("-D", self._folder / "data", "-d", follow.url("postgres")),
                *("--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
            ]
        made = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            **self._identity,
        )
        if made.returncode != 0:
            raise RuntimeError(f"{command[0]} failed: {made.stderr}")

    def certify(self, folder: Path) -> Path:
        """Talk TLS from the next start on; gives the file of the certificate to trust."""
        certificate, key = certified(folder, "localhost")
        for source, name in ((certificate, "server.crt"), (key, "server.key")):
            file = shutil.copyfile(source, self._folder / "data" / name)
            file.chmod(0o600)
            if self._identity:
                os.chown(file, self._identity["user"], self._identity["group"])
        self._options = (*self._options, "ssl=on")
        return certificate

    def start(self) -> None:
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [
                    *dying_with_us("QUIT"),
                    self._binaries / "postgres",
                    *("-D", self._folder / "data", "-p", str(self.port)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                    *("-c", "fsync=off", "-c", "max_connections=60"),
                    *(word for option in self._options for word in ("-c", option)),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                **self._identity,
            )
        deadline = time.monotonic() + _START_S
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log_text = (self._folder / "log").read_text(errors="replace")
                    raise RuntimeError(f"Postgres does not start: {log_text[-2000:]}") from error
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Break every connection and end, as a failing server does; keeps the data."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)  # "immediate shutdown"
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def promote(self) -> None:
        """Let a standby take writes."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql://livepath@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """A fresh, empty database; returns its URL."""
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(
                psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name))
            )
        return self.url(name)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.remove()
