"""From options and ports to addresses, settings and the role table of one stack."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from infra.supervisor.certificate import Certificate, development_certificate
from infra.supervisor.endpoints import Endpoints, RoleEndpoint
from infra.supervisor.folder import DataFolder, StackSecrets
from infra.supervisor.options import (
    StackOptions,
    advertised_name,
    authority,
    inherited_environment,
    is_loopback,
    webrtc_addresses,
)
from infra.supervisor.ports import LOOPBACK, PortPlan
from infra.supervisor.roles import (
    BROKER,
    BUS,
    CONTROL,
    S3,
    TRANSCRIBES,
    Addresses,
    Role,
    embedded_s3,
    embedded_valkey,
    product_roles,
    ready_urls,
)
from infra.supervisor.servers import (
    BUCKET,
    REGION,
    WEED_ENVIRONMENT,
    valkey_argv,
    weed_argv,
    weed_bucket_url,
    write_weed_configuration,
)

_RELAYED_S3 = 12
"""Index of the internal port that S3 listens on while a relay has the public one."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything decided before the first process starts."""

    roles: tuple[Role, ...]
    advertise: str
    addresses: Addresses
    settings: Mapping[str, str] = field(repr=False)
    webhook_url: str
    folder: DataFolder
    secrets: StackSecrets = field(repr=False)
    relay: tuple[str, int, str, int] | None
    """Listen host and port, target host and port of the S3 relay."""
    certificate: Path | None = None
    """That control and media show, if they speak TLS."""

    def prepare(self) -> None:
        """Write what the embedded servers read."""
        names = {role.name for role in self.roles}
        for valkey in names & {BROKER, BUS}:
            (self.folder.path / valkey).mkdir(exist_ok=True)
        if S3 in names:
            write_weed_configuration(self.folder.path / S3, self.secrets, self.webhook_url)

    def endpoints(self, roles: Mapping[str, RoleEndpoint]) -> Endpoints:
        return Endpoints(
            advertise=self.advertise,
            control_url=self.addresses.public_control_url,
            media_url=self.addresses.public_media_url,
            srt_url=self.addresses.public_srt_url,
            player_url_template=f"{self.addresses.public_control_url}/watch/{{event}}",
            broker_url=self.settings["LIVEPATH_BROKER_URL"],
            bus_url=self.settings["LIVEPATH_BUS_URL"],
            s3_url=self.settings["LIVEPATH_S3_URL"],
            database_url=self.settings["LIVEPATH_DATABASE_URL"],
            webhook_url=self.webhook_url,
            api_key_file=str(self.folder.api_key),
            certificate_file=str(self.certificate) if self.certificate else None,
            roles=dict(roles),
        )


def plan_layout(options: StackOptions, plan: PortPlan, folder: DataFolder, python: str) -> Layout:
    """The layout of a stack on `plan`'s ports. `folder` exists."""
    advertise = advertised_name(options.host, options.advertise)
    addresses = _addresses(options, advertise, plan)
    tls = _certificate(options.host, advertise, folder) if options.tls else None
    secrets = folder.read_secrets()
    public = not is_loopback(options.host)
    s3_port = plan.internal(_RELAYED_S3) if public and options.s3_url is None else plan.s3
    webhook_url = f"{addresses.dispatcher_url}/events/seaweedfs"
    servers = _servers(options, plan, s3_port, advertise, folder.path)
    settings = {
        **_listen_settings(options, plan),
        **_tls_settings(tls),
        "LIVEPATH_DATA_DIR": str(folder.path),
        "LIVEPATH_LOG_FORMAT": options.log_format,
        "LIVEPATH_LOG_LEVEL": options.log_level,
        "LIVEPATH_PUBLIC_URL": addresses.public_control_url,
        "LIVEPATH_MEDIA_PUBLIC_URL": addresses.public_media_url,
        "LIVEPATH_SRT_PUBLIC_URL": addresses.public_srt_url,
        "LIVEPATH_DATABASE_URL": options.database_url or f"sqlite:///{folder.path}/livepath.db",
        "LIVEPATH_BUS_URL": options.bus_url or f"redis://{LOOPBACK}:{plan.bus}/0",
        "LIVEPATH_BROKER_URL": options.broker_url or f"redis://{LOOPBACK}:{plan.broker}/0",
        "LIVEPATH_S3_URL": options.s3_url or _s3_url(secrets, s3_port, advertise, plan),
        "LIVEPATH_BOOTSTRAP_API_KEY_FILE": str(folder.api_key),
        "LIVEPATH_WEBHOOK_TOKEN": secrets.webhook_token,
        "LIVEPATH_CAPTIONS": str(options.captions).lower(),
        "LIVEPATH_LIVE_CAPTIONS": str(options.captions).lower(),
    }
    embedded = frozenset(role.name for role in servers)
    different = {**TRANSCRIBES, "LIVEPATH_WORKER_PORT": str(plan.transcriber)}
    transcribes = different if options.captions else None
    roles = [*servers, *product_roles(python, addresses, settings, embedded, transcribes)]
    if options.only is not None:
        roles = [role for role in roles if role.name in options.only]
    for_control = {"LIVEPATH_READY_URLS": ready_urls(roles)}
    extra = {CONTROL: {**for_control, **options.environment}}
    return Layout(
        roles=tuple(
            _with_inherited(role, extra.get(role.name, options.environment)) for role in roles
        ),
        advertise=advertise,
        addresses=addresses,
        settings={**settings, **options.environment},
        webhook_url=webhook_url,
        folder=folder,
        secrets=secrets,
        relay=(options.host, plan.s3, LOOPBACK, s3_port) if s3_port != plan.s3 else None,
        certificate=tls.certificate if tls else None,
    )


def _url(host: str, port: int, *, tls: bool = False) -> str:
    return f"{'https' if tls else 'http'}://{authority(host, port)}"


def _certificate(host: str, advertise: str, folder: DataFolder) -> Certificate:
    names = [advertise, LOOPBACK, "localhost", "::1"]
    if host not in ("0.0.0.0", "::", "*", ""):  # noqa: S104 - compared, not bound
        names.append(host)
    return development_certificate(folder.path / "tls", names, datetime.now(UTC))


def _tls_settings(tls: Certificate | None) -> dict[str, str]:
    if tls is None:
        return {}
    return {
        "LIVEPATH_TLS_CERTIFICATE": str(tls.certificate),
        "LIVEPATH_TLS_KEY": str(tls.key),
    }


def _addresses(options: StackOptions, advertise: str, plan: PortPlan) -> Addresses:
    host, tls = options.host, options.tls
    local = host if is_loopback(host) else LOOPBACK
    # A server on one outside address does not answer on loopback.
    bound = host if not is_loopback(host) and host not in ("0.0.0.0", "::") else local  # noqa: S104
    return Addresses(
        control_url=_url(bound, plan.control, tls=tls),
        media_url=_url(bound, plan.media, tls=tls),
        uploader_url=_url(LOOPBACK, plan.uploader),
        dispatcher_url=_url(LOOPBACK, plan.dispatcher),
        worker_url=_url(LOOPBACK, plan.worker),
        transcriber_url=_url(LOOPBACK, plan.transcriber),
        public_control_url=_url(advertise, plan.control, tls=tls),
        public_media_url=_url(advertise, plan.media, tls=tls),
        public_srt_url=f"srt://{authority(advertise, plan.srt)}",
    )


def _listen_settings(options: StackOptions, plan: PortPlan) -> dict[str, str]:
    return {
        "LIVEPATH_CONTROL_HOST": options.host,
        "LIVEPATH_CONTROL_PORT": str(plan.control),
        "LIVEPATH_MEDIA_HOST": options.host,
        "LIVEPATH_MEDIA_PORT": str(plan.media),
        "LIVEPATH_SRT_HOST": options.host,
        "LIVEPATH_SRT_PORT": str(plan.srt),
        "LIVEPATH_WEBRTC_HOSTS": LOOPBACK if options.host == "localhost" else options.host,
        "LIVEPATH_WEBRTC_PORT": str(plan.webrtc),
        "LIVEPATH_WEBRTC_ADVERTISE": options.webrtc_advertise
        or webrtc_addresses(options.host, options.advertise),
        "LIVEPATH_UPLOADER_HOST": LOOPBACK,
        "LIVEPATH_UPLOADER_PORT": str(plan.uploader),
        "LIVEPATH_DISPATCHER_HOST": LOOPBACK,
        "LIVEPATH_DISPATCHER_PORT": str(plan.dispatcher),
        "LIVEPATH_WORKER_HOST": LOOPBACK,
        "LIVEPATH_WORKER_PORT": str(plan.worker),
    }


def _s3_url(secrets: StackSecrets, port: int, advertise: str, plan: PortPlan) -> str:
    query = urlencode(
        {
            "endpoint": _url(LOOPBACK, port),
            "region": REGION,
            "public_endpoint": _url(advertise, plan.s3),
        },
        safe=":/",
    )
    return f"s3://{secrets.s3_access_key}:{secrets.s3_secret_key}@{BUCKET}?{query}"


def _servers(
    options: StackOptions, plan: PortPlan, s3_port: int, advertise: str, folder: Path
) -> list[Role]:
    """The embedded servers that no option replaces."""
    found = []
    if options.broker_url is None:
        # A full queue must be refused, never silently emptied.
        argv = valkey_argv(plan.broker, folder / BROKER, "noeviction")
        found.append(embedded_valkey(BROKER, argv, LOOPBACK, plan.broker))
    if options.bus_url is None:
        # Only what has a time to live may go: caches, never a stream of facts.
        argv = valkey_argv(plan.bus, folder / BUS, "volatile-lru")
        found.append(embedded_valkey(BUS, argv, LOOPBACK, plan.bus))
    if options.s3_url is None:
        argv = weed_argv(plan, s3_port, folder / S3)
        shown = _url(advertise, plan.s3)
        found.append(embedded_s3(argv, WEED_ENVIRONMENT, weed_bucket_url(plan), shown))
    return found


def _with_inherited(role: Role, extra: Mapping[str, str]) -> Role:
    environment = inherited_environment({**role.environment, **extra})
    return replace(role, environment=environment)
