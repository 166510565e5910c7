"""What must be durable before a programme lists a segment: its incarnation and reserved numbers.

Invariant: a number that viewers ever saw is below what the file reserves, so whoever reads the file
after a crash goes on above it. Numbers are reserved in blocks ahead of use, so no fsync stands in
the way of media. The file is replaced as a whole: it is the old one or the new one, never a part.

Upstream: `hotpath.node`, which calls `save` and `load_all` on a thread: both wait for the disk.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.keys import ProgramKey

MSN_BLOCK = 64
DISCONTINUITY_BLOCK = 16
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Checkpoint(BaseModel):
    """One programme's file, `{project}.{event}.{feed}.json`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    incarnation: str
    previous: tuple[str, ...] = Field((), description="Earlier incarnations, oldest first.")
    msn_reserved: int = Field(ge=0, description="Every msn in use is below this.")
    discontinuity_seq: int = Field(ge=0, description="No discontinuity sequence in use is above.")
    epoch_ns: int = Field(description="Unix ns of the programme's tick 0.")
    target_duration_s: int = Field(ge=1)
    open: bool = Field(description="False: the programme is over for good.")
    recorded: bool = Field(True, description="False: nothing of it is kept beyond the air.")

    def covering(self, msn: int, discontinuity_seq: int) -> "Checkpoint":
        """This, or a checkpoint with further blocks when half of one is used up."""
        reserved, sequence = self.msn_reserved, self.discontinuity_seq
        if msn + MSN_BLOCK // 2 >= reserved:
            reserved = msn + MSN_BLOCK + MSN_BLOCK // 2
        if discontinuity_seq + DISCONTINUITY_BLOCK // 2 > sequence:
            sequence = discontinuity_seq + DISCONTINUITY_BLOCK + DISCONTINUITY_BLOCK // 2
        if (reserved, sequence) == (self.msn_reserved, self.discontinuity_seq):
            return self
        return self.model_copy(update={"msn_reserved": reserved, "discontinuity_seq": sequence})


def next_incarnation(now_ms: int, earlier: Iterable[str] = ()) -> str:
    """Base 36 of Unix ms, above every earlier one even if the clock went back."""
    number = max([now_ms, *(int(name, 36) + 1 for name in earlier)])
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def path_of(folder: Path, key: ProgramKey) -> Path:
    return folder / f"{key.project}.{key.event}.{key.feed}.json"


def save(folder: Path, key: ProgramKey, checkpoint: Checkpoint) -> None:
    """Make the checkpoint durable; raises `OSError` and leaves the old one when it cannot."""
    replace_file(path_of(folder, key), checkpoint.model_dump_json().encode())


def forget(folder: Path, key: ProgramKey) -> None:
    """Remove the file of a programme that nothing can ask for any more."""
    path_of(folder, key).unlink(missing_ok=True)


def load_all(folder: Path) -> tuple[dict[ProgramKey, Checkpoint], list[Path]]:
    """Every checkpoint in the folder, and the files that hold none."""
    found: dict[ProgramKey, Checkpoint] = {}
    unreadable: list[Path] = []
    for path in sorted(folder.glob("*.json")):
        try:
            key = ProgramKey(*path.name.removesuffix(".json").split("."))
            found[key] = Checkpoint.model_validate_json(path.read_bytes())
        except (ValidationError, ValueError, TypeError):
            unreadable.append(path)
    return found, unreadable


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace the file's content atomically and durably."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
