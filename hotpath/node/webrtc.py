"""The WebRTC half of the node: one port for viewers and publishers, wired from settings.

    WHIP offers → WhipIngest ─┐                        ┌─► kernel shards → viewers
                              ├── Mux (UDP, ICE-TCP) ──┤
    WHEP offers → Fanout ─────┘                        └─► RTCP back

Upstream: `hotpath.node.app`. Downstream: `hotpath.webrtc`, `hotpath.fanout`, `hotpath.ingest.whip`,
`hotpath.node.bridges`.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from hotpath.fanout.kernel import Kernel
from hotpath.fanout.limits import Limits
from hotpath.fanout.service import FanoutService
from hotpath.hls.origin import HlsOrigin
from hotpath.ingest.publisher import PublisherSink
from hotpath.ingest.whip_limits import WhipLimits
from hotpath.ingest.whip_service import WhipIngest
from hotpath.node.bridges import Bridges
from hotpath.node.bridging import BridgingSink
from hotpath.webrtc.errors import PortError
from hotpath.webrtc.mux import Mux, MuxLimits
from hotpath.webrtc.turn import TurnServers
from infra.proxies import Proxies
from infra.settings import MediaSettings

LATE_MS = 75
"""Mean time from the bus to the socket above which joins are refused."""
ADDRESS_BURST = 10
"""Seconds' worth of one address's joins that may come at once, and that may be connecting."""
SPARE_PEERS = 64
"""Peers beyond viewers and publishers: those that are still connecting or just left."""


@dataclass(frozen=True, slots=True)
class WebRtc:
    """Everything that speaks WebRTC on this node."""

    mux: Mux
    kernel: Kernel
    bridges: Bridges
    fanout: FanoutService

    async def run(self, whip: WhipIngest) -> None:
        """Serve until cancelled. Whoever sends ends before the sockets do."""
        async with asyncio.TaskGroup() as transport:
            port = transport.create_task(self.mux.run(), name="webrtc port")
            try:
                async with asyncio.TaskGroup() as services:
                    for name, work in (
                        ("bridges", self.bridges.run()),
                        ("fan-out", self.fanout.run()),
                        ("whip", whip.run()),
                    ):
                        services.create_task(work, name=name)
            finally:
                await asyncio.shield(asyncio.to_thread(self.kernel.close))
                port.cancel()


def assemble(
    stack: AsyncExitStack, settings: MediaSettings, advertise: Sequence[str], origin: HlsOrigin
) -> WebRtc:
    """Takes the port; `stack` gives back what is not a task."""
    mux = Mux(
        settings.webrtc_hosts,
        settings.webrtc_port,
        advertise=advertise,
        tcp=settings.webrtc_tcp,
        limits=MuxLimits(
            peers=settings.max_viewers + settings.max_publishers + SPARE_PEERS,
            consent_ns=int(settings.consent_timeout_s * 1e9),
        ),
    )
    stack.callback(mux.close)
    # After the mux, so closed before it: its threads must not send on descriptors given back.
    kernel = Kernel(shards=settings.fanout_shards or None)
    stack.callback(kernel.close)
    mux.intake = kernel.intake()
    bridges = Bridges()
    fanout = FanoutService(
        mux,
        kernel,
        origin.access,
        limits=viewer_limits(settings),
        make_bridge=bridges.make_bridge,
        turn=turn_servers(settings),
        proxies=Proxies(settings.trusted_proxies),
    )
    return WebRtc(mux, kernel, bridges, fanout)


def whip(
    parts: WebRtc, settings: MediaSettings, sink: PublisherSink, ids: Iterator[int]
) -> WhipIngest:
    """WHIP on the same port, with a bridge beside each publisher's Opus."""
    return WhipIngest(
        parts.mux,
        BridgingSink(sink, parts.bridges.for_publisher),
        ids=ids,
        limits=WhipLimits(publishers=settings.max_publishers, max_bps=settings.whip_max_bitrate),
    )


def viewer_limits(settings: MediaSettings) -> Limits:
    return Limits(
        viewers=settings.max_viewers,
        viewers_per_event=settings.max_viewers_per_event,
        viewers_per_address=settings.max_viewers_per_ip,
        joins_per_second=settings.joins_per_s,
        join_burst=2 * settings.joins_per_s,
        address_joins_per_second=settings.joins_per_s_per_ip,
        address_join_burst=ADDRESS_BURST * settings.joins_per_s_per_ip,
        address_connecting=ADDRESS_BURST * settings.joins_per_s_per_ip,
        busy=settings.max_busy,
        send_delay_ms=LATE_MS if settings.max_busy else 0,
    )


def turn_servers(settings: MediaSettings) -> TurnServers:
    return TurnServers(settings.turn_urls, settings.turn_secret.encode(), ttl_s=settings.turn_ttl_s)


async def resolve(names: Sequence[str]) -> list[str]:
    """The addresses of `names`; raises `PortError` for one that has none."""
    loop = asyncio.get_running_loop()
    addresses: list[str] = []
    for name in names:
        try:
            addresses.append(str(ipaddress.ip_address(name)))
            continue
        except ValueError:
            pass
        try:
            found = await loop.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            raise PortError(
                f"LIVEPATH_WEBRTC_ADVERTISE: {name} has no address ({error}); "
                "give an address, or a name that resolves on this machine"
            ) from error
        addresses += [str(entry[4][0]) for entry in found]
    return list(dict.fromkeys(addresses))
