"""A replay: what people did during an event, with times, to be shown again beside its recording.

Invariant: times never fall from entry to entry. They are Unix milliseconds on the clock of the
media nodes, as those of markers and EXT-X-PROGRAM-DATE-TIME are, so whoever plays the recording
finds the place of each.

Upstream: `PUT /v1/events/{event}/replay`. Downstream: `coldpath.functions.replay`, players.
"""

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

FUNCTION = "replay"
NAME = "replay.json"
"""Of the object."""
CONTENT_TYPE = "application/json"
MAX_ENTRIES = 20_000
MAX_BYTES = 2 * 1024 * 1024
"""Of a request."""
MAX_DATA_BYTES = 2_048
_MAX_MS = 253_402_300_800_000  # the year 10000


def _small(data: dict[str, Any]) -> dict[str, Any]:
    # What JSON cannot say raises a ValueError here as well: NaN, a lone surrogate.
    size = len(json.dumps(data, ensure_ascii=False, allow_nan=False).encode())
    if size > MAX_DATA_BYTES:
        raise ValueError(f"it is {size} bytes of JSON; {MAX_DATA_BYTES} are allowed")
    return data


class ReplayEntry(BaseModel):
    """One thing that happened."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_ms: int = Field(
        strict=True,
        ge=0,
        lt=_MAX_MS,
        description="When, in Unix milliseconds on the clock of the media nodes.",
        examples=[1_906_567_500_250],
    )
    kind: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")] = Field(
        description="`chat`, `reaction`, `poll` or a word of your own.", examples=["chat"]
    )
    data: Annotated[dict[str, Any], AfterValidator(_small)] = Field(
        default_factory=dict,
        description=f"At most {MAX_DATA_BYTES} bytes of JSON. Pages show `name` and `text`.",
        examples=[{"name": "Ada", "text": "What a goal!"}],
    )


class Replay(BaseModel):
    """All of it, in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entries: tuple[ReplayEntry, ...] = Field(max_length=MAX_ENTRIES)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for number, (entry, following) in enumerate(
            zip(self.entries, self.entries[1:], strict=False), 1
        ):
            if following.at_ms < entry.at_ms:
                raise ValueError(f"entry {number} is earlier than the one before it")
        return self

    def text(self) -> bytes:
        """As it is stored: equal replays are equal bytes."""
        said = {"version": 1, "entries": [entry.model_dump(mode="json") for entry in self.entries]}
        whole = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return whole.encode()


class StoredReplay(Replay):
    """As it lies in the bucket."""

    version: Literal[1]


class ReplayRequest(BaseModel):
    """The parameters of the function that lists a stored replay."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(max_length=512)
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the object.")


def digest_of(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def content_after(digest: str, earlier: str) -> str:
    """The content part of a key. `earlier` is the key of the replay that is replaced, so that one
    that was replaced can come back as the newest."""
    return hashlib.sha256(f"{digest} {earlier}".encode()).hexdigest()[:24]
