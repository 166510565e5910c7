"""The data folder of a stack: its lock, logs, secrets and development API key.

Invariant: one stack per folder. The lock is shared by the guards, so after the supervisor was
killed it is free only when the last role is gone.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from infra.supervisor.errors import StackError

LOCK_WAIT_S = 10.0
_LOCK_POLL_S = 0.05
_LOG_LIMIT = 32 * 1024**2


class StackSecrets(BaseModel):
    """Made once per data folder, so that presigned URLs stay good over a restart."""

    model_config = ConfigDict(frozen=True)

    s3_access_key: str = Field(default_factory=lambda: "LP" + secrets.token_hex(9).upper())
    s3_secret_key: str = Field(default_factory=lambda: secrets.token_hex(20))
    webhook_token: str = Field(default_factory=lambda: secrets.token_urlsafe(24))


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths below the data folder."""

    path: Path

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def api_key(self) -> Path:
        return self.path / "api-key"

    @property
    def secrets(self) -> Path:
        return self.path / "secrets.json"

    def log(self, role: str) -> Path:
        return self.logs / f"{role}.log"

    def create(self) -> None:
        """Make the folder and what the supervisor keeps in it; existing secrets stay."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
        except OSError as error:
            raise StackError(
                f"the data folder {self.path} cannot be made: {error.strerror}; "
                "choose another with --data-dir"
            ) from error
        if not self.api_key.exists():
            _write_private(self.api_key, f"lp_{secrets.token_urlsafe(32)}")
        if not self.secrets.exists():
            _write_private(self.secrets, StackSecrets().model_dump_json(indent=2) + "\n")

    def read_secrets(self) -> StackSecrets:
        return StackSecrets.model_validate_json(self.secrets.read_text())

    async def lock(self) -> int:
        """The descriptor that holds the folder; waits for the roles of a killed stack to go."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            async with asyncio.timeout(LOCK_WAIT_S):
                # flock could be awaited only by a thread, which cannot be cancelled.
                while not _try_lock(descriptor):  # noqa: ASYNC110
                    await asyncio.sleep(_LOCK_POLL_S)
        except TimeoutError:
            os.close(descriptor)
            raise StackError(
                f"another stack runs on {self.path}; stop it, "
                "or choose another folder with --data-dir"
            ) from None
        except asyncio.CancelledError:
            os.close(descriptor)
            raise
        return descriptor

    def unlock(self, descriptor: int) -> None:
        """Guards that are still open keep the folder locked."""
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read; a reader sees all of it or no file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)


def trim_log(path: Path, limit: int = _LOG_LIMIT) -> None:
    """Keep a log bounded: past `limit` bytes its last half moves to `<name>.1` and it starts over.

    Roles append, so a file that was cut short under them goes on at its new end.
    """
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size <= limit:
            return
        with path.open("rb+") as log:
            log.seek(-(limit // 2), os.SEEK_END)
            path.with_name(path.name + ".1").write_bytes(log.read(limit))
            log.truncate(0)


def last_lines(path: Path, count: int = 5) -> list[str]:
    """The end of a log, for an error message."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - 8192))
        return log.read(8192).decode(errors="replace").splitlines()[-count:]
    return []
