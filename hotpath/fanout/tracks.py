"""A viewer's RTP tracks as the kernel is given them: what the SDP answer has promised.

Invariant: pure; a track has the payload types of the answer, and SSRCs, sequence numbers and
timestamps that begin where nobody can guess (RFC 3550 5.1).

Upstream: `viewer`. Downstream: `hotpath.fanout.kernel`.
"""

from dataclasses import dataclass

from hotpath.fanout.feed import AUDIO_HZ
from hotpath.fanout.kernel import RtpTrack
from hotpath.fanout.rendition import VIDEO_HZ
from hotpath.webrtc.sdp import MediaChoice, SendSsrcs


@dataclass(frozen=True, slots=True)
class Randoms:
    """What is random about one viewer's RTP, drawn by the shell."""

    ssrcs: SendSsrcs
    sequences: tuple[int, int, int]
    """First sequence numbers: video, its retransmission, audio."""
    offsets: tuple[int, int]
    """Timestamp offsets: video, audio."""


def kernel_tracks(media: MediaChoice, randoms: Randoms) -> list[RtpTrack]:
    ssrcs, (video, rtx, audio) = randoms.ssrcs, randoms.sequences
    video_offset, audio_offset = randoms.offsets
    tracks = []
    if (choice := media.video) is not None:
        tracks.append(
            RtpTrack(
                kind="video",
                clock_hz=VIDEO_HZ,
                payload_type=choice.payload_type,
                ssrc=ssrcs.video,
                first_sequence=video,
                timestamp_offset=video_offset,
                rtx_payload_type=choice.rtx_payload_type,
                rtx_ssrc=ssrcs.video_rtx,
                rtx_first_sequence=rtx,
                capture_time_id=choice.capture_time_id,
            )
        )
    if (choice := media.audio) is not None:
        tracks.append(
            RtpTrack(
                kind="audio",
                clock_hz=AUDIO_HZ,
                payload_type=choice.payload_type,
                ssrc=ssrcs.audio,
                first_sequence=audio,
                timestamp_offset=audio_offset,
                rtx_payload_type=None,
                rtx_ssrc=0,
                rtx_first_sequence=0,
                capture_time_id=choice.capture_time_id,
            )
        )
    return tracks
