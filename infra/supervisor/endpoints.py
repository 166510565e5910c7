"""`<data-dir>/endpoints.json`: where everything of a running stack is.

Written by the supervisor on every change, atomically; read by people, the demo and tests. It holds
credentials of the object store and is therefore readable by its owner only.
"""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

FILE = "endpoints.json"


class RoleEndpoint(BaseModel):
    """One role process."""

    model_config = ConfigDict(frozen=True)

    pid: int | None = Field(description="The role's own process; null while none runs.")
    url: str | None = Field(
        description="Base of /metrics, /healthz and /readyz, if it serves them."
    )
    log: str = Field(description="File that its output is appended to.")


class Endpoints(BaseModel):
    """Addresses of one stack; URLs for clients carry the advertised name."""

    model_config = ConfigDict(frozen=True)

    advertise: str
    control_url: str
    media_url: str
    srt_url: str
    player_url_template: str = Field(description="`{event}` stands for the event id.")
    broker_url: str
    bus_url: str
    s3_url: str
    database_url: str
    webhook_url: str
    api_key_file: str
    certificate_file: str | None = Field(
        None, description="Certificate to trust for `https` URLs; null without `--tls`."
    )
    roles: dict[str, RoleEndpoint]


def write_endpoints(folder: Path, endpoints: Endpoints) -> None:
    """Replace the file; a reader sees the old or the new one, never a part."""
    temporary = folder / f".{FILE}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(endpoints.model_dump_json(indent=2) + "\n")
    temporary.replace(folder / FILE)


def read_endpoints(folder: Path) -> Endpoints:
    """What the stack with this data folder wrote last; `FileNotFoundError` when there was none."""
    return Endpoints.model_validate_json((folder / FILE).read_text())
