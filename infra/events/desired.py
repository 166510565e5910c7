"""Desired state: what control wants the media nodes to do. Written by control, read by media.

Carried in the bus Valkey so that a node can resync fully at any time:

    HASH   livepath:desired          field `project:{id}` or `event:{id}` -> JSON of a model below
    STREAM livepath:desired:log      one entry `{field: <hash field>}` per change, capped
    STRING livepath:desired:epoch    set when all is written; missing: Valkey is new

A node keeps the last state on disk and runs from it when the bus is away.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

HASH = "livepath:desired"
LOG = "livepath:desired:log"
EPOCH = "livepath:desired:epoch"
LOG_MAXLEN = 10_000
MAX_DVR_WINDOW_S = 12 * 3600


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class DesiredProject(_Frozen):
    id: str
    secrets: dict[str, str] = Field(description="kid -> base64 secret; verifies keys and tokens.")
    public_keys: dict[str, str] = Field(
        default_factory=dict, description="kid -> Ed25519 key as in a JWK; verifies tokens."
    )
    revision: int


class DesiredMarker(_Frozen):
    id: str
    kind: str
    title: str | None = None
    start_ms: int = Field(description="Unix milliseconds, on the programme's wall clock.")
    end_ms: int | None = Field(None, description="None: open; it is set once.")
    data: dict[str, str | int | float] = Field(default_factory=dict)


class DesiredRevocation(_Frozen):
    """Viewer tokens that were called back: one, or a subject's, or (neither) everybody's."""

    token: str | None = None
    subject: str | None = None
    until: int = Field(description="Unix seconds; tokens issued later are not meant.")


class DesiredTier(_Frozen):
    """A tier that takes the place of the one in a viewer's tokens."""

    subject: str
    tier: str = Field(description="Of `infra.auth.policy`.")
    cap: str | None = None
    until: int = Field(description="Unix seconds; tokens issued later are not meant.")


class DesiredEvent(_Frozen):
    id: str
    project: str
    feed: str = "main"
    revision: int = Field(description="Rises with every change; a lower one is stale.")
    open: bool = Field(description="Publishers may connect. False: close the programme.")
    access: Literal["public", "token", "nobody"]
    """`nobody`: publishers stand by until the start, and nobody may watch."""
    kid: str
    generation: int = Field(ge=1, description="Keys of other generations are refused as rotated.")
    staying_generation: int | None = Field(
        None,
        ge=1,
        description="Publishers that connected with a key of this generation, or a later one, stay "
        "until they leave; None: only those with the present key.",
    )
    takeover: bool = Field(description="A second publisher replaces the first; else it is refused.")
    reconnect_window_s: int = Field(60, ge=0)
    target_duration_s: int = Field(2, ge=1, le=10)
    renditions: tuple[str, ...] = Field(
        (), description="Beside the source; a name that `infra.renditions` lacks is passed over."
    )
    dvr_window_s: int = Field(
        0, ge=0, le=MAX_DVR_WINDOW_S, description="How far back live playlists reach; 0: no DVR."
    )
    recording: bool = Field(
        True, description="False: nothing is kept of a programme that begins from now on."
    )
    markers: tuple[DesiredMarker, ...] = Field(
        (), description="The newest ones, in the order in which they were made."
    )
    revocations: tuple[DesiredRevocation, ...] = ()
    tiers: tuple[DesiredTier, ...] = ()
    traceparent: str | None = None


def project_field(project: str) -> str:
    return f"project:{project}"


def event_field(event: str) -> str:
    return f"event:{event}"
