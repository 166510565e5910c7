"""What of an offer is taken: one H.264 video and one Opus audio, to send or to receive.

Invariant: at most one m-line of each kind is chosen, its mandatory parameters are there, and every
payload type chosen was offered. Pure. Upstream: `hotpath.webrtc.sdp_offer`. Downstream:
`hotpath.webrtc.sdp_answer`, `hotpath.fanout` and `hotpath.ingest`, which need the payload types.
Spec: RFC 6184 8.1 and 8.2.2 (profiles), RFC 7587 (Opus).
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from hotpath.webrtc.sdp_lines import SdpError
from hotpath.webrtc.sdp_offer import Media, Offer, RtpCodec

CAPTURE_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
FEEDBACK = ("goog-remb", "ccm fir", "nack", "nack pli")
"""What this node sends or obeys; transport-cc is not among it."""
_PROTOCOLS = ("UDP/TLS/RTP/SAVPF", "TCP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF")
_PROFILE_LEVEL = re.compile(r"[0-9a-f]{6}")
_DEFAULT_PROFILE_LEVEL = "420010"  # RFC 6184 8.1
_OPUS = "minptime=10;useinbandfec=1"
_OPUS_WANTED = "stereo=1;maxaveragebitrate=128000"
_ONE_BYTE_IDS = range(1, 15)
CONSTRAINED_BASELINE, BASELINE, MAIN, CONSTRAINED_HIGH, HIGH, HIGH_444, OTHER = range(7)
"""In the order of what a decoder must be able to do."""


@dataclass(frozen=True, slots=True)
class TrackChoice:
    """One m-line that is accepted, with one codec."""

    index: int
    """Of the m-line in the offer."""
    mid: str
    codec: RtpCodec
    fmtp: str
    """For the answer."""
    capture_time_id: int
    """RFC 8285 id of abs-capture-time, 0 where it is not offered."""
    ssrc: int | None = None
    """The publisher's, where the offer tells."""
    rtx_ssrc: int | None = None

    @property
    def payload_type(self) -> int:
        return self.codec.payload_type

    @property
    def rtx_payload_type(self) -> int | None:
        return self.codec.rtx if "nack" in self.codec.feedback else None

    @property
    def feedback(self) -> tuple[str, ...]:
        """What was offered of what we do."""
        return tuple(name for name in FEEDBACK if name in self.codec.feedback)


@dataclass(frozen=True, slots=True)
class MediaChoice:
    """None: nothing of that kind was offered. Never both."""

    video: TrackChoice | None
    audio: TrackChoice | None

    @property
    def mids(self) -> tuple[str, ...]:
        tracks = [t for t in (self.video, self.audio) if t]
        return tuple(t.mid for t in sorted(tracks, key=lambda t: t.index))


ViewerMedia = MediaChoice
PublisherMedia = MediaChoice


def choose_viewer(offer: Offer, *, profile_level_id: str | None) -> ViewerMedia:
    """What to send to a viewer of a stream with this profile (None: not known yet).

    The stream's own profile is taken, else the least that can decode it, else the nearest below:
    decoders in browsers do more than they offer.
    """
    wanted = h264_profile(profile_level_id) if profile_level_id else CONSTRAINED_BASELINE
    ranking = sorted(range(OTHER + 1), key=lambda p: (p < wanted, abs(p - wanted)))
    chosen = _choose(offer, ("recvonly", "sendrecv"), "receive", ranking)
    if chosen.audio and "stereo" in chosen.audio.codec.fmtp:
        stereo = f"{chosen.audio.fmtp};stereo=1"
        return replace(chosen, audio=replace(chosen.audio, fmtp=stereo))
    return chosen


def choose_publisher(offer: Offer) -> PublisherMedia:
    """What to take from a publisher: the profile that most viewers decode is preferred."""
    chosen = _choose(offer, ("sendonly", "sendrecv"), "send", range(OTHER + 1))
    if chosen.audio is None:
        return chosen
    # RFC 7587 7: `stereo` is what the receiver wants; without it browsers send speech in mono.
    return replace(chosen, audio=replace(chosen.audio, fmtp=f"{_OPUS};{_OPUS_WANTED}"))


def h264_profile(profile_level_id: str) -> int:
    """The profile by profile_idc and constraint flags, RFC 6184 table 5."""
    value = int(profile_level_id, 16)
    idc, flags = value >> 16, value >> 8 & 0xFF
    if (idc == 0x42 and flags & 0x40) or (idc == 0x4D and flags & 0x80):
        return CONSTRAINED_BASELINE
    if idc == 0x58 and flags & 0x80:
        return CONSTRAINED_BASELINE if flags & 0x40 else BASELINE
    if idc == 0x64:
        return CONSTRAINED_HIGH if flags & 0x0C == 0x0C else HIGH
    return {0x42: BASELINE, 0x4D: MAIN, 0xF4: HIGH_444}.get(idc, OTHER)


def _choose(
    offer: Offer, directions: tuple[str, ...], verb: str, ranking: Iterable[int]
) -> MediaChoice:
    order = list(ranking)
    video = _track(offer, "video", directions, lambda media: _h264(media, order))
    audio = _track(offer, "audio", directions, _opus)
    if video is None and audio is None:
        raise SdpError(f"no audio or video m-line is offered to {verb}; offer {directions[0]}")
    return MediaChoice(video, audio)


def _track(
    offer: Offer,
    kind: str,
    directions: tuple[str, ...],
    codec_of: Callable[[Media], tuple[RtpCodec, str] | None],
) -> TrackChoice | None:
    offered = [
        (index, media)
        for index, media in enumerate(offer.medias)
        if media.kind == kind and media.bundled and media.direction in directions
    ]
    for index, media in offered:
        found = codec_of(media)
        if found is not None:
            return _accept(index, media, *found)
    if offered:
        names = sorted({codec.name for _, media in offered for codec in media.codecs})
        need = "H264 with packetization-mode=1" if kind == "video" else "opus/48000/2"
        raise SdpError(
            f"the {kind} m-line offers {', '.join(names)[:120] or 'no codec'} but not {need}; "
            f"offer {need}"
        )
    return None


def _accept(index: int, media: Media, codec: RtpCodec, fmtp: str) -> TrackChoice:
    if not media.rtcp_mux:
        raise SdpError(f"the {media.kind} m-line lacks a=rtcp-mux; set rtcpMuxPolicy to require")
    if media.protocol not in _PROTOCOLS:
        raise SdpError(f"{media.protocol[:40]} cannot be answered; offer UDP/TLS/RTP/SAVPF")
    id = media.extensions.get(CAPTURE_TIME, 0)
    # `ssrcs` lists retransmission too; the first is the primary one.
    ssrc = media.ssrcs[0] if media.ssrcs and not media.simulcast else None
    return TrackChoice(
        index=index,
        mid=media.mid,
        codec=codec,
        fmtp=fmtp,
        capture_time_id=id if id in _ONE_BYTE_IDS else 0,
        ssrc=ssrc,
        rtx_ssrc=media.rtx_ssrcs.get(ssrc) if ssrc is not None else None,
    )


def _h264(media: Media, ranking: list[int]) -> tuple[RtpCodec, str] | None:
    """The best payload type; one with packetization-mode=1 before one that does not say."""
    best: tuple[tuple[bool, int], RtpCodec] | None = None
    for codec in media.codecs:
        mode = codec.fmtp.get("packetization-mode", "")
        if codec.name != "h264" or codec.clock_hz != 90_000 or mode not in ("", "1"):
            continue
        order = (mode == "", ranking.index(h264_profile(_profile_level(codec))))
        if best is None or order < best[0]:
            best = order, codec
    return (best[1], _h264_fmtp(best[1])) if best else None


def _profile_level(codec: RtpCodec) -> str:
    offered = codec.fmtp.get("profile-level-id", "").lower()
    return offered if _PROFILE_LEVEL.fullmatch(offered) else _DEFAULT_PROFILE_LEVEL


def _h264_fmtp(codec: RtpCodec) -> str:
    """RFC 6184 8.2.2: the same profile comes back; mode 1 is what is sent either way."""
    asymmetry = codec.fmtp.get("level-asymmetry-allowed") == "1"
    fmtp = "level-asymmetry-allowed=1;" if asymmetry else ""
    if "profile-level-id" not in codec.fmtp:
        return f"{fmtp}packetization-mode=1"
    return f"{fmtp}packetization-mode=1;profile-level-id={_profile_level(codec)}"


def _opus(media: Media) -> tuple[RtpCodec, str] | None:
    for codec in media.codecs:
        if codec.name == "opus" and codec.clock_hz == 48_000:
            return codec, f"{_OPUS};sprop-stereo=1"
    return None
