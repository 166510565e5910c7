"""ICE host candidates: the addresses at which this node can be reached, as SDP carries them.

Invariant: pure; `parse(c.line()) == c`. Upstream: `mux` (what it is bound to). Downstream: `sdp`.
Spec: RFC 8445 5.1 (priorities), RFC 6544 4.2 (TCP), RFC 8839 5.1 (grammar).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from hotpath.webrtc.errors import CandidateError

_TOKEN = re.compile(r"[A-Za-z0-9+/]{1,32}")
_MAX_ADDRESS = 255
_HOST_PREFERENCE = 126
"""RFC 8445 5.1.2.2: the recommended type preference of host candidates."""
_TCP_HOST_PREFERENCE = 90
"""Below every UDP candidate: RFC 6544 4.2 wants UDP preferred."""
_PASSIVE = 4
"""RFC 6544 4.2: the direction preference of a passive host candidate."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One transport address. RTCP is always multiplexed, so our own component is always 1."""

    foundation: str
    protocol: Literal["udp", "tcp"]
    priority: int
    address: str
    """Numeric; a peer's may also be an mDNS name."""
    port: int
    type: str = "host"
    tcptype: str | None = None
    component: int = 1

    def line(self) -> str:
        """What stands behind `a=candidate:` in SDP."""
        text = (
            f"{self.foundation} {self.component} {self.protocol} {self.priority} "
            f"{self.address} {self.port} typ {self.type}"
        )
        return f"{text} tcptype {self.tcptype}" if self.tcptype else text


def parse(line: str) -> Candidate:
    """A peer's candidate, with or without its `a=candidate:` prefix."""
    fields = line.strip().removeprefix("a=").removeprefix("candidate:").split()
    if len(fields) < 8 or fields[6].lower() != "typ" or not _TOKEN.fullmatch(fields[0]):
        raise CandidateError(f"candidate {line[:80]!r} is not `foundation component protocol …`")
    protocol = fields[2].lower()
    if protocol not in ("udp", "tcp"):
        raise CandidateError(f"candidate protocol {fields[2][:20]!r} is neither udp nor tcp")
    extensions = dict(zip(fields[8::2], fields[9::2], strict=False))
    if len(fields[4]) > _MAX_ADDRESS:
        raise CandidateError("the candidate's address is longer than 255 characters")
    return Candidate(
        foundation=fields[0],
        component=_number(fields[1], 256),
        protocol="udp" if protocol == "udp" else "tcp",
        priority=_number(fields[3], (1 << 32) - 1),
        address=fields[4],
        port=_number(fields[5], 65535),
        type=fields[7],
        tcptype=extensions.get("tcptype"),
    )


def host_candidates(addresses: Iterable[str], port: int, *, tcp: bool) -> tuple[Candidate, ...]:
    """UDP candidates in order of preference, then the same addresses as passive TCP."""
    unique = list(dict.fromkeys(addresses))
    found = [
        Candidate(str(n + 1), "udp", _priority(_HOST_PREFERENCE, 65535 - n), address, port)
        for n, address in enumerate(unique)
    ]
    if tcp:
        # RFC 6544 4.2: local preference = 2^13 * direction preference + other preference.
        found += [
            Candidate(
                str(len(unique) + n + 1),
                "tcp",
                _priority(_TCP_HOST_PREFERENCE, (_PASSIVE << 13) + 8191 - n),
                address,
                port,
                tcptype="passive",
            )
            for n, address in enumerate(unique)
        ]
    return tuple(found)


def _priority(type_preference: int, local_preference: int) -> int:
    """RFC 8445 5.1.2.1, component 1."""
    return (type_preference << 24) | (local_preference << 8) | 255


def _number(text: str, limit: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) > limit:
        raise CandidateError(f"candidate field {text[:20]!r} is not a number up to {limit}")
    return int(text)
