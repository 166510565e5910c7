"""Every URL that the API hands out, built in one place from the public base URLs.

Invariant: an ingest URL survives a paste into a shell between double quotes: it holds none of
``$ ` ! \\ "`` and no white space. The bare `EVENT/KEY` streamid is used because the `#!::` form
triggers history expansion in interactive shells.
"""

from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from infra.auth.streamkeys import srt_passphrase, stream_key, whip_token
from infra.captions_group import WITH_CAPTIONS
from infra.publishers import Role

FEED = "main"
# 7 TS packets of 188 bytes: what fits the SRT payload on a 1500-byte link.
SRT_PAYLOAD = 1316


@dataclass(frozen=True, slots=True)
class SrtAccess:
    """What an encoder needs."""

    url: str
    backup_url: str
    stream_id: str
    backup_stream_id: str
    passphrase: str
    latency_ms: int


@dataclass(frozen=True, slots=True)
class WhipAccess:
    """What a WHIP publisher needs."""

    url: str
    backup_url: str
    token: str
    publish_url: str


@dataclass(frozen=True, slots=True)
class Links:
    """The public addresses of one deployment."""

    public_url: str
    media_url: str
    srt_url: str
    srt_latency_ms: int
    objects_url: str = ""
    """Where finished objects are read by their keys; empty: from control itself."""
    live_captions: bool = False
    """Media nodes offer captions of what is live."""

    def srt(self, secret: bytes, event: str, kid: str, generation: int) -> SrtAccess:
        """The SRT addresses with streamid and passphrase of the event's current key."""
        stream_id = f"{event}/{stream_key(secret, event, kid, generation)}"
        backup_stream_id = f"{stream_id}/{Role.BACKUP}"
        passphrase = srt_passphrase(secret, event, kid, generation)
        return SrtAccess(
            url=self._srt_url(stream_id, passphrase),
            backup_url=self._srt_url(backup_stream_id, passphrase),
            stream_id=stream_id,
            backup_stream_id=backup_stream_id,
            passphrase=passphrase,
            latency_ms=self.srt_latency_ms,
        )

    def _srt_url(self, stream_id: str, passphrase: str) -> str:
        query = urlencode(
            {
                "streamid": stream_id,
                "passphrase": passphrase,
                "latency": self.srt_latency_ms * 1000,  # ffmpeg counts microseconds
                "mode": "caller",
                "pkt_size": SRT_PAYLOAD,
            },
            safe="/",
        )
        return f"srt://{urlsplit(self.srt_url).netloc}?{query}"

    def whip(self, secret: bytes, event: str, kid: str, generation: int) -> WhipAccess:
        """The WHIP endpoint with the bearer token of the event's current key."""
        token = whip_token(secret, event, kid, generation)
        return WhipAccess(
            url=self.whip_url(event),
            backup_url=f"{self.whip_url(event)}?role={Role.BACKUP}",
            token=token,
            publish_url=self.publish(event, token),
        )

    def whip_url(self, event: str) -> str:
        """The WHIP endpoint; the same for every key of the event."""
        return f"{self.media_url.rstrip('/')}/whip/{event}"

    def publish(self, event: str, token: str) -> str:
        """The page that publishes a camera; the token is a fragment, so it stays out of logs."""
        return f"{self.public_url.rstrip('/')}/publish/{event}#{token}"

    def path_prefix(self, project: str, event: str) -> str:
        """The path that a viewer token of the event opens."""
        return f"/live/{project}/{event}"

    def hls(self, project: str, event: str, token: str | None = None) -> str:
        """The multivariant playlist."""
        return self._media(project, event, "index.m3u8", token)

    def hls_with_captions(self, project: str, event: str) -> str | None:
        """The same with captions; None: nobody makes them while an event is live."""
        return self._media(project, event, WITH_CAPTIONS, None) if self.live_captions else None

    def whep(self, project: str, event: str, token: str | None = None) -> str:
        """The WHEP endpoint."""
        return self._media(project, event, "whep", token)

    def _media(self, project: str, event: str, name: str, token: str | None) -> str:
        behind = f"/t/{token}" if token else ""
        path = f"{self.path_prefix(project, event)}/{FEED}/{name}"
        return f"{self.media_url.rstrip('/')}{behind}{path}"

    def viewed(self, key: str, token: str | None = None) -> str:
        """A finished object, for those who may watch its event."""
        behind = f"/t/{token}" if token else ""
        return f"{(self.objects_url or self.public_url).rstrip('/')}{behind}/{key}"

    def recording(self, event: str, token: str | None = None) -> str:
        """The page that plays the recording; the token as for the player page."""
        fragment = f"#{token}" if token else ""
        return f"{self.public_url.rstrip('/')}/vod/{event}{fragment}"

    def player(self, event: str, token: str | None = None) -> str:
        """The player page; the token is a fragment, so it stays out of every log."""
        fragment = f"#{token}" if token else ""
        return f"{self.public_url.rstrip('/')}/watch/{event}{fragment}"
