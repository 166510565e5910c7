"""A WHEP viewer of a few lines that decrypts its video, over UDP or, where there is none, over TCP.

    viewer = await WhepViewer.join(url, await TcpWire.connect(server))
    frames = await viewer.frames(30)

Its transport is `rtc_client`'s; descriptions and frames are the benchmarks': nothing is ours.
"""

import asyncio
import re
import time
from types import SimpleNamespace
from typing import Any, Self, cast
from urllib.parse import urljoin

from benchmarks.frames import Frame, FrameReceiver, parse_rtp
from benchmarks.peer import Peer as LightPeer
from benchmarks.signalling import Remote, offer, parse, request
from hotpath.webrtc.peer import Peer
from tests.support.rtc_client import WAIT_S, Client, TcpWire, Wire


class WhepViewer:
    def __init__(self, client: Client, remote: Remote, url: str) -> None:
        self.client = client
        self.remote = remote
        self.url = url
        """Of the session."""
        self.session_id = url.rpartition("/")[2]
        self.receiver = FrameReceiver()
        self.sequences: list[int] = []
        """Of its video packets, as they came."""

    @classmethod
    async def join(cls, url: str, wire: Wire) -> Self:
        """Connected over `wire`, which leads to one of the answer's candidates."""
        client = Client(wire)
        described = SimpleNamespace(
            ufrag=client.ufrag,
            pwd=client.pwd,
            fingerprint=client.fingerprint.removeprefix("sha-256 "),
            host="127.0.0.1",
            port=9,
        )
        sdp = offer(cast(LightPeer, described))
        headers = {"Content-Type": "application/sdp"}
        status, answered, text = await asyncio.to_thread(request, "POST", url, sdp, headers)
        assert status == 201, text
        assert wire.server in candidates(text, "tcp" if isinstance(wire, TcpWire) else "udp")
        viewer = cls(client, parse(text), urljoin(url, answered["Location"]))
        await client.connect(cast(Peer, viewer.remote))
        return viewer

    async def frames(self, count: int) -> list[Frame]:
        """The next so many that could be shown: whole, and with all that they build on."""
        frames: list[Frame] = []
        async with asyncio.timeout(WAIT_S):
            while len(frames) < count:
                found = self._receive(await self.client.media.get())
                found += self.receiver.poll(time.time_ns())
                frames += [frame for frame in found if frame.decodable_ns]
        return frames

    @property
    def missing(self) -> int:
        """Packets that never came, of those up to the last one that did."""
        first = self.sequences[0]
        places = {(sequence - first) & 0xFFFF for sequence in self.sequences}
        return max(places) + 1 - len(places)

    def _receive(self, data: bytes) -> list[Frame]:
        if 192 <= data[1] <= 223:
            self.client.inbound.unprotect_rtcp(data)
            return []
        packet = parse_rtp(self.client.inbound.unprotect(data))
        if self.remote.codecs.get(packet.payload_type) != "h264":
            return []
        self.sequences.append(packet.sequence)
        return self.receiver.receive(packet, time.time_ns())

    async def move(self, wire: Wire) -> None:
        """Nominate another way, as a browser does whose network changes."""
        self.client.listen(wire)
        await self.client.check(wire=wire)
        self.client.wire = wire


def candidates(sdp: str, protocol: str) -> list[tuple[str, int]]:
    """Addresses of the answer that speak `protocol`."""
    found: list[Any] = re.findall(
        rf"^a=candidate:\S+ 1 {protocol} \d+ (\S+) (\d+) typ host", sdp, re.MULTILINE
    )
    return [(host, int(port)) for host, port in found]


def without_udp(sdp: str) -> str:
    """The answer of a node that UDP does not reach."""
    lines = sdp.splitlines(keepends=True)
    return "".join(one for one in lines if not re.match(r"a=candidate:\S+ \d+ udp ", one))
