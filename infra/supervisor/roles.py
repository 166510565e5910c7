"""The role table: every process of a stack with its command, settings, probes and neighbours.

Pure: from addresses to a table, without touching disk or network. The settings models name the
variables that each role gets, so a role never sees a secret that it has no field for.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from infra.settings import (
    ControlSettings,
    DispatcherSettings,
    MediaSettings,
    RoleSettings,
    SpeechSettings,
    UploaderSettings,
    WorkerSettings,
)
from infra.supervisor.probe import HttpProbe, Probe, ValkeyProbe

BROKER, BUS, S3 = "valkey-broker", "valkey-bus", "s3"
CONTROL, MEDIA, UPLOADER, DISPATCHER, WORKER, TRANSCRIBER = (
    *("control", "media"),
    *("uploader", "dispatcher", "worker", "transcriber"),
)
ROLE_MODULES: Mapping[str, tuple[str, ...]] = {
    CONTROL: ("infra",),
    MEDIA: ("hotpath",),
    UPLOADER: ("hotpath", "upload"),
    DISPATCHER: ("coldpath", "dispatch"),
    WORKER: ("coldpath", "worker"),
    TRANSCRIBER: ("coldpath", "worker"),
}
"""`python -m` arguments of our own roles."""

ROLE_SETTINGS: Mapping[str, tuple[type[RoleSettings], ...]] = {
    CONTROL: (ControlSettings,),
    MEDIA: (MediaSettings,),
    UPLOADER: (UploaderSettings,),
    DISPATCHER: (DispatcherSettings,),
    WORKER: (WorkerSettings,),
    TRANSCRIBER: (WorkerSettings, SpeechSettings),
}
TRANSCRIBES: Mapping[str, str] = {
    "LIVEPATH_WORKER_QUEUES": "gpu",
    # It may take all of a processor, and what it does can wait longer than a clip.
    "LIVEPATH_WORKER_NICENESS": "15",
}
"""What makes a worker of its own of the transcriber."""


@dataclass(frozen=True, slots=True)
class Role:
    """One supervised process."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    alive: Probe
    """Passing means that roles which need this one may start."""
    ready: Probe
    url: str | None = None
    """Base of its operations paths."""
    shown_url: str = ""
    """What the status table shows: the address that people use."""
    needs: tuple[str, ...] = ()
    """Must be alive before it starts; stop after it."""
    outlives: tuple[str, ...] = ()
    """Stop before it, though it starts without them."""
    stop_grace_s: float = 8.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Every address of a stack, as other roles (`*_url`) and clients (`public_*`) use it."""

    control_url: str
    media_url: str
    uploader_url: str
    dispatcher_url: str
    worker_url: str
    transcriber_url: str
    public_control_url: str
    public_media_url: str
    public_srt_url: str


def embedded_valkey(name: str, argv: tuple[str, ...], host: str, port: int) -> Role:
    probe = ValkeyProbe(host, port)
    shown = f"redis://{host}:{port}"
    return Role(name, argv, {}, alive=probe, ready=probe, shown_url=shown)


def embedded_s3(
    argv: tuple[str, ...], environment: Mapping[str, str], ready_url: str, shown_url: str
) -> Role:
    probe = HttpProbe(ready_url)
    return Role(S3, argv, environment, alive=probe, ready=probe, shown_url=shown_url)


def product_roles(
    python: str,
    addresses: Addresses,
    settings: Mapping[str, str],
    embedded: frozenset[str],
    transcribes: Mapping[str, str] | None = None,
) -> list[Role]:
    """Our own roles. `settings` are all `LIVEPATH_*` values; each role gets those it has.
    `transcribes`: what is different for the transcriber; None: there is none."""
    broker, bus, s3 = (tuple({name} & embedded) for name in (BROKER, BUS, S3))
    a = addresses

    def role(
        name: str,
        url: str,
        shown: str,
        needs: tuple[str, ...],
        *,
        alive: str = "/readyz",
        outlives: tuple[str, ...] = (),
        stop_grace_s: float = 8.0,
        different: Mapping[str, str] | None = None,
    ) -> Role:
        return Role(
            name,
            (python, "-m", *ROLE_MODULES[name]),
            {**role_environment(ROLE_SETTINGS[name], settings), **(different or {})},
            alive=HttpProbe(url + alive),
            ready=HttpProbe(f"{url}/readyz"),
            url=url,
            shown_url=shown,
            needs=needs,
            outlives=outlives,
            stop_grace_s=stop_grace_s,
        )

    cold = (CONTROL, *broker, *s3)
    roles = [
        # Control is ready only when the roles below are, so they wait for it to live: by then it
        # has migrated the database.
        role(CONTROL, a.control_url, a.public_control_url, (*bus, *s3), alive="/healthz"),
        role(MEDIA, a.media_url, f"{a.public_media_url}  {a.public_srt_url}", bus),
        # It takes the last segments that media leaves in the spool.
        role(UPLOADER, a.uploader_url, a.uploader_url, s3, outlives=(MEDIA,)),
        role(DISPATCHER, a.dispatcher_url, a.dispatcher_url, cold),
        role(WORKER, a.worker_url, a.worker_url, cold, stop_grace_s=13.0),
    ]
    if transcribes is not None:
        url = a.transcriber_url
        roles.append(
            role(TRANSCRIBER, url, url, cold, stop_grace_s=13.0, different=transcribes),
        )
    return roles


def role_environment(
    models: Iterable[type[RoleSettings]], settings: Mapping[str, str]
) -> dict[str, str]:
    """The part of `settings` that `models` have fields for."""
    known = {
        f"{model.model_config.get('env_prefix', '')}{name}".upper()
        for model in models
        for name in model.model_fields
    }
    return {name: value for name, value in settings.items() if name in known}


def ready_urls(roles: Iterable[Role]) -> str:
    """What control's own readiness asks for, as its setting wants it: all that speaks HTTP."""
    return json.dumps(
        {
            role.name: role.ready.url
            for role in roles
            if isinstance(role.ready, HttpProbe) and role.name != CONTROL
        }
    )
