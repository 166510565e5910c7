"""A peer's SDP offer as data: its transport, and per m-line its codecs, direction and extensions.

Invariant: `parse_offer` returns an offer that can be answered (one bundled transport with ICE
credentials, a SHA-256 fingerprint and a DTLS role) or raises `SdpError`. Every token in it is free
of white space, so an answer may repeat it. Pure.

Upstream: `hotpath.webrtc.sdp_lines`. Downstream: `hotpath.webrtc.sdp_choice`, `sdp_answer`.
Spec: RFC 8829, RFC 8839 (ICE), RFC 8122 and 8842 (DTLS), RFC 9143 (BUNDLE), RFC 4588 (rtx).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hotpath.webrtc.sdp_lines import SdpError, Section, number, sections

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
SETUPS = ("actpass", "active", "passive")
MAX_CANDIDATES = 64
MAX_SSRCS = 64
_FINGERPRINT = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){31}")
_CREDENTIAL = re.compile(r"[\x21-\x39\x3b-\x7e]{4,256}")  # ice-char and what peers send beyond it
_MIN_PWD = 22  # RFC 8839 5.4


@dataclass(frozen=True, slots=True)
class RtpCodec:
    """One payload type of an m-line."""

    payload_type: int
    name: str
    """In lower case: h264, opus, rtx…"""
    clock_hz: int
    channels: int
    fmtp: Mapping[str, str]
    """Names in lower case; a parameter without `=` has an empty value."""
    feedback: frozenset[str]
    """For example `nack`, `nack pli`, `ccm fir`; `a=rtcp-fb:*` included."""
    rtx: int | None = None
    """Payload type that retransmits this one."""


@dataclass(frozen=True, slots=True)
class Media:
    """One m-line."""

    kind: str
    protocol: str
    formats: tuple[str, ...]
    mid: str
    """Empty where the offer has none; then it is the only m-line that can be used."""
    direction: str
    codecs: tuple[RtpCodec, ...]
    extensions: Mapping[str, int]
    """RFC 8285: URI to id."""
    ssrcs: tuple[int, ...]
    rtx_ssrcs: Mapping[int, int]
    """RFC 4588 `a=ssrc-group:FID`: primary to retransmission."""
    msid: str
    bundled: bool
    """It shares the transport of the offer and can be accepted."""
    rtcp_mux: bool
    rtcp_rsize: bool
    simulcast: bool
    rids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    ufrag: str
    pwd: str
    fingerprint: str
    """`sha-256 AA:BB:…`, upper case."""
    setup: str
    """actpass, active or passive."""
    medias: tuple[Media, ...]
    bundle: tuple[str, ...]
    candidates: tuple[str, ...]
    """What stands behind `a=candidate:`, of the whole transport."""
    end_of_candidates: bool

    @property
    def answer_setup(self) -> str:
        """RFC 8842 5.3: passive unless the peer insists on it, so that clients choose AES-GCM."""
        return "active" if self.setup == "passive" else "passive"


def parse_offer(text: str) -> Offer:
    session, medias = sections(text)
    if not medias:
        raise SdpError("the SDP has no m-line; offer audio and video before creating the offer")
    bundle = next((tuple(v.split()[1:]) for v in session.all("group") if _is_bundle(v)), ())
    usable = [m for m in medias if _usable(m)]
    if len(usable) > 1 and not bundle:
        raise SdpError("several m-lines without a=group:BUNDLE; set bundlePolicy to max-bundle")
    # RFC 9143 7.2: the transport stands in the section that the group names first.
    order = sorted(medias, key=lambda m: _rank(m.first("mid") or "", bundle))
    shared = [m for m in order if m.first("mid") in bundle] or usable[:1] or order[:1]
    ufrag, pwd = ice_credentials(session, shared)
    return Offer(
        ufrag=ufrag,
        pwd=pwd,
        fingerprint=_fingerprint(session, shared),
        setup=_setup(session, shared),
        medias=tuple(_media(m, session, _in_bundle(m, bundle, len(usable))) for m in medias),
        bundle=bundle,
        candidates=tuple(c for m in shared for c in m.all("candidate"))[:MAX_CANDIDATES],
        end_of_candidates=any(m.has("end-of-candidates") for m in (session, *shared)),
    )


def _is_bundle(group: str) -> bool:
    return group.split()[:1] == ["BUNDLE"]


def _usable(section: Section) -> bool:
    """Audio or video that the peer has not switched off (RFC 9143 6: bundle-only has port 0)."""
    return section.media[0] in ("audio", "video") and (
        section.media[1] != "0" or section.has("bundle-only")
    )


def _in_bundle(section: Section, bundle: tuple[str, ...], usable: int) -> bool:
    if not _usable(section):
        return False
    return section.first("mid") in bundle if bundle else usable == 1


def _rank(mid: str, bundle: tuple[str, ...]) -> int:
    return bundle.index(mid) if mid in bundle else len(bundle)


def ice_credentials(session: Section, shared: list[Section]) -> tuple[str, str]:
    for section in (*shared, session):
        ufrag, pwd = section.first("ice-ufrag"), section.first("ice-pwd")
        if ufrag is None or pwd is None:
            continue
        if not _CREDENTIAL.fullmatch(ufrag) or not _CREDENTIAL.fullmatch(pwd):
            raise SdpError("a=ice-ufrag or a=ice-pwd is malformed; send 4 to 256 ICE characters")
        if len(pwd) < _MIN_PWD:
            raise SdpError(f"a=ice-pwd has fewer than {_MIN_PWD} characters; send a longer one")
        return ufrag, pwd
    raise SdpError("a=ice-ufrag and a=ice-pwd are missing; send an offer with ICE")


def _fingerprint(session: Section, shared: list[Section]) -> str:
    seen: list[str] = []
    for section in (*shared, session):
        for value in section.all("fingerprint"):
            algorithm, _, digest = value.partition(" ")
            digest = digest.strip().upper()
            seen.append(algorithm[:16])
            if algorithm.lower() == "sha-256" and _FINGERPRINT.fullmatch(digest):
                return f"sha-256 {digest}"
    if seen:
        found = ", ".join(sorted(set(seen)))
        raise SdpError(f"a=fingerprint has no sha-256 value (only {found}); send a sha-256 one")
    raise SdpError("a=fingerprint is missing; send an offer with DTLS-SRTP")


def _setup(session: Section, shared: list[Section]) -> str:
    for section in (*shared, session):
        setup = section.first("setup")
        if setup is not None and setup not in SETUPS:
            raise SdpError(f"a=setup:{setup[:20]} cannot be answered; send actpass")
        if setup is not None:
            return setup
    return "actpass"  # RFC 8842 5.2: what an offerer should send anyway


def _media(section: Section, session: Section, bundled: bool) -> Media:
    kind, _, protocol, *formats = section.media
    return Media(
        kind=kind,
        protocol=protocol,
        formats=tuple(formats),
        mid=_token(section.first("mid")),
        direction=_direction(section) or _direction(session) or "sendrecv",
        codecs=_codecs(section, formats) if bundled else (),
        extensions=_extensions(session) | _extensions(section) if bundled else {},
        ssrcs=_ssrcs(section),
        rtx_ssrcs=_rtx_ssrcs(section),
        msid=section.first("msid") or "",
        bundled=bundled,
        rtcp_mux=section.has("rtcp-mux"),
        rtcp_rsize=section.has("rtcp-rsize"),
        simulcast=section.has("simulcast"),
        rids=tuple(v.split()[0] for v in section.all("rid") if v.split()[1:2] == ["send"]),
    )


def _token(value: str | None) -> str:
    words = (value or "").split()
    return words[0] if words else ""


def _direction(section: Section) -> str | None:
    return next((name for name, _ in section.attributes if name in DIRECTIONS), None)


def _extensions(section: Section) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in section.all("extmap"):
        words = value.split()
        id = number(words[0].partition("/")[0], 255) if len(words) > 1 else None
        if id and id != 15:  # RFC 8285 4.2: 15 is reserved
            found.setdefault(words[1], id)
    return found


def _ssrcs(section: Section) -> tuple[int, ...]:
    found: dict[int, None] = {}
    for value in section.all("ssrc"):
        ssrc = number(_token(value), 0xFFFFFFFF)
        if ssrc is not None and len(found) < MAX_SSRCS:
            found[ssrc] = None
    return tuple(found)


def _rtx_ssrcs(section: Section) -> dict[int, int]:
    found: dict[int, int] = {}
    for value in section.all("ssrc-group"):
        words = value.split()
        if len(words) == 3 and words[0] == "FID" and len(found) < MAX_SSRCS:
            primary, rtx = number(words[1], 0xFFFFFFFF), number(words[2], 0xFFFFFFFF)
            if primary is not None and rtx is not None:
                found.setdefault(primary, rtx)
    return found


def _by_payload_type(section: Section, name: str) -> dict[int, list[str]]:
    """Values of `a=name:PT …`; -1 stands for `*`."""
    found: dict[int, list[str]] = {}
    for value in section.all(name):
        head, _, rest = value.partition(" ")
        payload_type = -1 if head == "*" else number(head, 127)
        if payload_type is not None:
            found.setdefault(payload_type, []).append(" ".join(rest.split()))
    return found


def _codecs(section: Section, formats: list[str]) -> tuple[RtpCodec, ...]:
    maps, fmtps = _by_payload_type(section, "rtpmap"), _by_payload_type(section, "fmtp")
    feedback = _by_payload_type(section, "rtcp-fb")
    parsed: dict[int, RtpCodec] = {}
    for payload_type in (number(text, 127) for text in formats):
        if payload_type is None or payload_type in parsed or payload_type not in maps:
            continue
        name, clock, channels = _rtpmap(maps[payload_type][0])
        if clock:
            fmtp = _fmtp(fmtps.get(payload_type, [""])[0])
            wanted = frozenset(feedback.get(payload_type, []) + feedback.get(-1, []))
            parsed[payload_type] = RtpCodec(payload_type, name, clock, channels, fmtp, wanted)
    rtx = {
        number(codec.fmtp.get("apt", ""), 127): payload_type
        for payload_type, codec in reversed(parsed.items())
        if codec.name == "rtx"
    }
    return tuple(
        RtpCodec(c.payload_type, c.name, c.clock_hz, c.channels, c.fmtp, c.feedback, rtx.get(pt))
        for pt, c in parsed.items()
    )


def _rtpmap(value: str) -> tuple[str, int, int]:
    """(name, clock, channels); clock 0 where it is malformed."""
    name, _, rest = value.partition("/")
    clock, _, channels = rest.partition("/")
    return name.lower(), number(clock, 0x7FFFFFFF) or 0, number(channels, 255) or 1


def _fmtp(value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in value.split(";"):
        name, _, body = part.strip().partition("=")
        if name:
            found.setdefault(name.strip().lower(), body.strip())
    return found
