"""Answers to viewers' and publishers' offers, as text.

Invariant: an answer has as many m-lines as the offer, in its order; what is not chosen has port 0
and is outside the BUNDLE group. Pure. Upstream: `hotpath.webrtc.sdp_choice`. Downstream: the WHEP
and WHIP endpoints. Spec: RFC 8829 5.3, RFC 9143 7.3, RFC 8839 (a=ice-lite), RFC 9725.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from hotpath.webrtc.sdp_choice import CAPTURE_TIME, MediaChoice, TrackChoice
from hotpath.webrtc.sdp_offer import Media, Offer


class CandidateLine(Protocol):
    def line(self) -> str:
        """What stands behind `a=candidate:`."""


@dataclass(frozen=True, slots=True)
class SendSsrcs:
    """Synchronisation sources of one viewer."""

    video: int
    video_rtx: int
    audio: int


@dataclass(frozen=True, slots=True)
class _Local:
    """This end's transport as every accepted m-line repeats it."""

    ufrag: str
    pwd: str
    fingerprint: str
    setup: str
    candidates: tuple[str, ...]


def viewer_answer(
    offer: Offer,
    chosen: MediaChoice,
    *,
    ufrag: str,
    pwd: str,
    fingerprint: str,
    candidates: Iterable[CandidateLine],
    setup: Literal["passive", "active"],
    ssrcs: SendSsrcs,
    cname: str,
    stream_id: str,
) -> str:
    """sendonly; both tracks belong to the stream `stream_id`."""
    local = _Local(ufrag, pwd, fingerprint, setup, candidate_lines(candidates))

    def sources(kind: str, track: TrackChoice) -> list[str]:
        names = [f"a=msid:{stream_id} {kind}"]
        ssrc = ssrcs.video if kind == "video" else ssrcs.audio
        owned = [ssrc]
        if kind == "video" and track.rtx_payload_type is not None:
            owned.append(ssrcs.video_rtx)
            names.append(f"a=ssrc-group:FID {ssrc} {ssrcs.video_rtx}")
        for one in owned:
            names += [f"a=ssrc:{one} cname:{cname}", f"a=ssrc:{one} msid:{stream_id} {kind}"]
        return names

    tracks = _tracks(chosen)
    return _answer(
        offer,
        local,
        {t.index: (t, [*_rtp(t, "sendonly"), *sources(k, t)]) for k, t in tracks},
    )


def publisher_answer(
    offer: Offer,
    chosen: MediaChoice,
    *,
    ufrag: str,
    pwd: str,
    fingerprint: str,
    candidates: Iterable[CandidateLine],
    setup: Literal["passive", "active"],
) -> str:
    """recvonly. A simulcast offer is answered without simulcast: its first layer is sent."""
    local = _Local(ufrag, pwd, fingerprint, setup, candidate_lines(candidates))
    tracks = {t.index: (t, _rtp(t, "recvonly")) for _, t in _tracks(chosen)}
    return _answer(offer, local, tracks)


def candidate_lines(candidates: Iterable[CandidateLine]) -> tuple[str, ...]:
    """UDP first: ffmpeg's WHIP muxer reads the first candidate and no other."""
    lines = [candidate.line() for candidate in candidates]
    ordered = sorted(lines, key=lambda line: " udp " not in line.lower())
    return tuple(f"a=candidate:{line}" for line in ordered)


def _tracks(chosen: MediaChoice) -> list[tuple[str, TrackChoice]]:
    named = (("video", chosen.video), ("audio", chosen.audio))
    return [(kind, track) for kind, track in named if track is not None]


def _answer(offer: Offer, local: _Local, accepted: dict[int, tuple[TrackChoice, list[str]]]) -> str:
    session = zlib.crc32(f"{local.ufrag}:{local.pwd}".encode())
    lines = ["v=0", f"o=- {session} 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite"]
    mids = [t.mid for _, (t, _) in sorted(accepted.items()) if t.mid]
    if mids and offer.bundle:
        # RFC 9143 7.3.1: in the order of the offer's group.
        lines.append("a=group:BUNDLE " + " ".join(m for m in offer.bundle if m in mids))
    lines.append("a=msid-semantic: WMS *")
    for index, media in enumerate(offer.medias):
        if index in accepted:
            track, own = accepted[index]
            lines += _accepted(media, track, local, own)
        else:
            lines += _rejected(media)
    return "\r\n".join(lines) + "\r\n"


def _accepted(media: Media, track: TrackChoice, local: _Local, own: Sequence[str]) -> list[str]:
    formats = [str(track.payload_type)]
    if track.rtx_payload_type is not None:
        formats.append(str(track.rtx_payload_type))
    return [
        f"m={media.kind} 9 {media.protocol} {' '.join(formats)}",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.pwd}",
        f"a=fingerprint:{local.fingerprint}",
        f"a=setup:{local.setup}",
        *([f"a=mid:{media.mid}"] if media.mid else []),
        "a=rtcp-mux",
        *(["a=rtcp-rsize"] if media.rtcp_rsize else []),
        *own,
        *local.candidates,
        "a=end-of-candidates",
    ]


def _rtp(track: TrackChoice, direction: str) -> list[str]:
    pt, codec = track.payload_type, track.codec
    channels = f"/{codec.channels}" if codec.channels > 1 else ""
    name = "H264" if codec.name == "h264" else codec.name
    lines = [f"a={direction}"]
    if track.capture_time_id:
        lines.append(f"a=extmap:{track.capture_time_id} {CAPTURE_TIME}")
    lines.append(f"a=rtpmap:{pt} {name}/{codec.clock_hz}{channels}")
    lines += [f"a=rtcp-fb:{pt} {feedback}" for feedback in track.feedback]
    lines.append(f"a=fmtp:{pt} {track.fmtp}")
    rtx = track.rtx_payload_type
    if rtx is not None:
        lines += [f"a=rtpmap:{rtx} rtx/{codec.clock_hz}", f"a=fmtp:{rtx} apt={pt}"]
    return lines


def _rejected(media: Media) -> list[str]:
    """RFC 8829 5.3.1: port 0, one format at least, nothing of a transport."""
    mid = [f"a=mid:{media.mid}"] if media.mid else []
    return [
        f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}",
        "c=IN IP4 0.0.0.0",
        *mid,
        "a=inactive",
    ]
