"""Settings: one frozen model per role, read once from `LIVEPATH_*` in each role's `__main__`.

There is no global settings object: a role parses its model and passes the values on. Every field
carries a description, from which `docs/configuration.md` is generated.
"""

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


def _words(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(word for word in (part.strip() for part in value.split(",")) if word)


def _networks(given: tuple[str, ...]) -> tuple[str, ...]:
    for each in given:
        ipaddress.ip_network(each, strict=False)
    return given


# pydantic-settings would read a list as JSON, which nobody wants to quote in a shell.
CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
Networks = Annotated[CommaList, AfterValidator(_networks)]


class RoleSettings(BaseSettings):
    """What every role has: where it keeps its files and how it logs."""

    model_config = SettingsConfigDict(env_prefix="LIVEPATH_", frozen=True, extra="ignore")

    data_dir: Path = Field(Path("livepath-data"), description="Folder for everything kept on disk.")
    log_format: Literal["console", "json"] = Field(
        "json", description="`console` for people, `json` for collectors."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe level that is written."
    )
    otlp_endpoint: str = Field(
        default_factory=lambda: os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
        pattern=r"^(https?://\S+)?$",
        validate_default=True,
        description="OpenTelemetry collector that spans are sent to, by OTLP over HTTP, such as "
        "`http://127.0.0.1:4318`; without it `OTEL_EXPORTER_OTLP_ENDPOINT`, and without both "
        "nothing is traced (docs/tracing.md).",
    )


class TlsSettings(RoleSettings):
    """Of roles that clients reach by HTTP."""

    tls_certificate: Path | None = Field(
        None,
        description="PEM file with the certificate chain; with it the role speaks TLS 1.2 and up, "
        "else plain HTTP, for a proxy in front.",
    )
    tls_key: Path | None = Field(None, description="PEM file with the certificate's private key.")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together: set both or none")
        return self


class ControlSettings(TlsSettings):
    """`python -m infra`: the control API and the pages."""

    control_host: str = Field("127.0.0.1", description="Address the control API listens on.")
    control_port: int = Field(8080, description="Port of the control API and pages.")
    public_url: str = Field(
        "http://127.0.0.1:8080",
        description="Base URL of control API and pages, as clients reach it.",
    )
    media_public_url: str = Field(
        "http://127.0.0.1:8081",
        description="Base URL of LL-HLS, WHEP and WHIP, as viewers and publishers reach it.",
    )
    objects_public_url: str = Field(
        "",
        description="Base URL of a CDN over the bucket for recordings, with object keys as paths "
        "(docs/cdn.md); empty: the control API serves them itself.",
    )
    srt_public_url: str = Field(
        "srt://127.0.0.1:8082", description="SRT address, as encoders reach it."
    )
    database_url: str = Field(
        "sqlite:///livepath-data/livepath.db",
        description="`sqlite:///path` or `postgresql://user:password@host/name`, with parameters "
        "of libpq's URLs as `sslmode`; of several hosts, `host1:5432,host2:5432`, the one that "
        "takes writes is used.",
    )
    bus_url: str = Field("redis://127.0.0.1:8087/0", description="Valkey used as bus and cache.")
    s3_url: str = Field(
        "s3://livepath?endpoint=http://127.0.0.1:8088",
        description="`s3://[key:secret@]bucket[?endpoint=URL&region=R&public_endpoint=URL]`; "
        "without a key the AWS credential chain is used.",
    )
    live_captions: bool = Field(
        False, description="Media nodes offer captions of what is live; players are told."
    )
    srt_latency_ms: int = Field(
        120, ge=20, le=8000, description="SRT latency written into encoder URLs, ms."
    )
    token_algorithm: Literal["HS256", "EdDSA"] = Field(
        "HS256",
        description="What new viewer tokens are signed with: the project's secret, or Ed25519 keys "
        "whose public halves are at `/.well-known/jwks.json`. Tokens of both kinds verify.",
    )
    bootstrap_api_key_file: Path | None = Field(
        None,
        description="File with an API key in plain text that is made valid for project `default` "
        "at start.",
    )
    requests_per_key: int = Field(
        6_000,
        ge=0,
        description="API requests a minute with one API key, all at once or spread; 0: no limit.",
    )
    requests_per_ip: int = Field(
        3_000,
        ge=0,
        description="API requests a minute from one address (IPv6: one /64) without a valid API "
        "key, as viewers and publishers make them; 0: no limit.",
    )
    audit_days: int = Field(
        400, ge=0, description="Days for which the audit log is kept; 0: for good."
    )
    webhook_http: bool = Field(False, description="Webhooks may have http addresses, beside https.")
    webhook_private: bool = Field(
        False,
        description="Webhooks may lead to private networks and to this machine: only where every "
        "client of the API may reach what control can reach.",
    )
    public_events_days: int = Field(
        14,
        ge=2,
        description="Days for which public events and the log of their deliveries are kept.",
    )
    ready_urls: dict[str, str] = Field(
        default_factory=dict,
        description="JSON object of role name to `/readyz` URL; "
        "control is ready when all answer 200.",
    )


class MediaSettings(TlsSettings):
    """`python -m hotpath`: the media node. State and spool live below the data folder."""

    node: str = Field("local", description="Name of this media node, unique in the deployment.")
    node_url: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="Base URL of LL-HLS and WHEP of this node alone, as viewers reach it, where "
        "there are several (docs/operations.md); empty: viewers reach it by control's "
        "`LIVEPATH_MEDIA_PUBLIC_URL` only, and are never led here from another node.",
    )
    media_host: str = Field(
        "127.0.0.1", description="Address that LL-HLS, WHEP and WHIP (HTTP) listen on."
    )
    trusted_proxies: Networks = Field(
        (),
        description="Addresses and networks of proxies in front of this node that are believed "
        "what `X-Forwarded-For` says, for limits by address and tokens bound to one (docs/access.md"
        "); none: the header means nothing.",
    )
    media_port: int = Field(8081, description="TCP port of LL-HLS, WHEP and WHIP (HTTP).")
    srt_host: str = Field("127.0.0.1", description="Address SRT listens on.")
    srt_port: int = Field(8082, description="UDP port of SRT.")
    srt_latency_ms: int = Field(120, description="SRT receive latency offered to encoders, ms.")
    bus_url: str = Field("redis://127.0.0.1:8087/0", description="Valkey used as bus and cache.")
    part_target_ms: int = Field(215, description="LL-HLS part target, ms; legal for 23.976-60 fps.")
    edge_secret: str = Field(
        "",
        repr=False,
        pattern=r"^([A-Za-z0-9_-]{16,128})?$",
        description="Secret by which CDN edges prove that they check viewers (docs/cdn.md), 16 to "
        "128 letters, digits, `-` and `_`; empty: there are no edges.",
    )
    edge_check_s: int = Field(
        1,
        ge=1,
        le=60,
        description="Seconds for which an edge may remember that a viewer was let in; a revocation "
        "takes as long to end sessions there. Each viewer costs the origin one check in that time.",
    )
    spool_max_bytes: int = Field(
        8 * 1024**3,
        description="Bytes of unacknowledged media kept on disk before recording stops.",
    )
    s3_url: str = Field(
        "s3://livepath?endpoint=http://127.0.0.1:8088",
        repr=False,
        description="As for control. It is only read, for viewers who go back (`dvr_window_s`).",
    )
    live_captions: bool = Field(
        False,
        description="Offer the captions that workers make of live programmes (docs/ll-hls.md).",
    )
    webrtc_hosts: CommaList = Field(
        ("127.0.0.1",),
        description="Addresses that WebRTC media (UDP, and TCP if `webrtc_tcp`) listens on; "
        "`0.0.0.0` is every IPv4 address, `::` every IPv6 address.",
    )
    webrtc_port: int = Field(
        8089, ge=0, le=65535, description="The one port of WebRTC media; 0 picks a free one."
    )
    webrtc_advertise: CommaList = Field(
        (),
        description="Addresses or names by which clients reach `webrtc_hosts` from outside (NAT, "
        "cloud); names are resolved at start. None: the listening addresses.",
    )
    webrtc_tcp: bool = Field(
        True, description="Also take WebRTC media over TCP, for networks without UDP."
    )
    max_viewers: int = Field(2000, ge=0, description="WebRTC viewers on this node.")
    max_viewers_per_event: int = Field(
        0, ge=0, description="WebRTC viewers of one event on this node; 0: no limit of its own."
    )
    max_viewers_per_ip: int = Field(
        1000, ge=0, description="WebRTC viewers from one address; 0: no limit."
    )
    joins_per_s: int = Field(
        200, ge=1, description="WebRTC joins a second; more are refused with Retry-After."
    )
    joins_per_s_per_ip: int = Field(
        20,
        ge=0,
        description="WebRTC joins a second from one address (an IPv6 /64 counts as one), ten times "
        "as many at once, and as many that have not connected yet; 0: no limit.",
    )
    max_busy: float = Field(
        0.8,
        ge=0,
        le=1,
        description="Share of a core that the busiest sending thread, and of all cores that the "
        "node may use, above which WebRTC joins are refused; 0: joins are never refused for load.",
    )
    max_publishers: int = Field(200, ge=0, description="WHIP publishers on this node.")
    whip_max_bitrate: int = Field(
        20_000_000, ge=100_000, description="Bits per second above which a WHIP publisher is ended."
    )
    fanout_shards: int = Field(
        0, ge=0, le=256, description="Threads that send to viewers; 0: one per core."
    )
    consent_timeout_s: float = Field(
        15.0,
        ge=5,
        le=60,
        description="Seconds without a connectivity check after which a WebRTC peer is gone.",
    )
    turn_urls: CommaList = Field(
        (), description="TURN servers offered to clients, such as `turn:turn.example:3478`."
    )
    turn_secret: str = Field(
        "",
        repr=False,
        description="Secret shared with the TURN servers (coturn's `static-auth-secret`).",
    )
    turn_ttl_s: int = Field(
        43_200, ge=60, description="Seconds for which a client's TURN credentials are good."
    )


class UploaderSettings(RoleSettings):
    """`python -m hotpath upload`: moves the spool to S3."""

    uploader_host: str = Field("127.0.0.1", description="Address of the uploader's health port.")
    uploader_port: int = Field(8083, description="TCP port of the uploader's health and metrics.")
    s3_url: str = Field(
        "s3://livepath?endpoint=http://127.0.0.1:8088",
        description="As for control.",
    )


class DispatcherSettings(RoleSettings):
    """`python -m coldpath dispatch`: object events in, ledger rows and Celery messages out."""

    dispatcher_host: str = Field("127.0.0.1", description="Address the event webhook listens on.")
    dispatcher_port: int = Field(8084, description="TCP port of webhook, health and metrics.")
    webhook_token: str = Field(
        "", description="Bearer token that object-event webhooks must carry."
    )
    sqs_queue_url: str = Field("", description="SQS queue with S3 notifications; empty: none.")
    sweep_interval_s: float = Field(
        1.0, description="Seconds between two looks at what the ledger owes the broker."
    )
    reconcile_interval_s: float = Field(
        30.0, description="Seconds between two comparisons of bucket, ledger and broker."
    )
    bus_url: str = Field(
        "redis://127.0.0.1:8087/0", description="Valkey that control rings on when it files jobs."
    )
    captions: bool = Field(
        False,
        description="Have speech transcribed, live and at the end; a worker with the extra "
        "`captions` must take from queue `gpu`.",
    )
    database_url: str = Field("sqlite:///livepath-data/livepath.db", description="As for control.")
    broker_url: str = Field("redis://127.0.0.1:8086/0", description="Valkey used as Celery broker.")
    s3_url: str = Field(
        "s3://livepath?endpoint=http://127.0.0.1:8088", description="As for control."
    )


class WorkerSettings(RoleSettings):
    """`python -m coldpath worker`: runs jobs."""

    worker_host: str = Field("127.0.0.1", description="Address of the worker's health port.")
    worker_port: int = Field(8085, description="TCP port of the worker's health and metrics.")
    worker_concurrency: int = Field(1, description="Jobs run side by side.")
    worker_niceness: int = Field(
        10,
        ge=0,
        le=19,
        description="How far jobs give way to everything else on the machine; 0 where nothing live "
        "runs beside them.",
    )
    worker_queues: str = Field("fast,bulk", description="Comma-separated queues to take from.")
    worker_grace_s: float = Field(
        4.0,
        ge=0,
        description="Seconds that jobs have to end after SIGTERM; then they are handed back, which "
        "takes up to 10 s more.",
    )
    visibility_timeout_s: int = Field(
        60, description="Seconds after which a dead worker's delivery is handed out again."
    )
    imds_url: str = Field(
        "",
        description="Instance metadata service that tells of spot interruptions, in EC2 "
        "http://169.254.169.254; empty: nobody asks.",
    )
    imds_poll_s: float = Field(5.0, description="Seconds between two questions to it.")
    database_url: str = Field("sqlite:///livepath-data/livepath.db", description="As for control.")
    broker_url: str = Field("redis://127.0.0.1:8086/0", description="Valkey used as Celery broker.")
    s3_url: str = Field(
        "s3://livepath?endpoint=http://127.0.0.1:8088", description="As for control."
    )


class SpeechSettings(RoleSettings):
    """What a worker transcribes with; read by the functions that transcribe, when one runs."""

    speech_model: str = Field(
        "", description="Folder of a CTranslate2 Whisper model; empty: the extra's, English."
    )
    speech_device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where the model runs; `auto`: on a GPU when there is one."
    )
    speech_language: str = Field(
        "", description="ISO 639-1; empty: detected where the model knows several."
    )
    speech_threads: int = Field(
        0, ge=0, description="Threads of the model on a CPU; 0: its own choice."
    )
    bus_url: str = Field(
        "redis://127.0.0.1:8087/0", description="Valkey on which live captions are told."
    )
