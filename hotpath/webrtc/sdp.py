"""SDP offers and answers of viewers (WHEP) and publishers (WHIP): the names others use.

Pure. `sdp_lines` is the grammar, `sdp_offer` reads an offer, `sdp_choice` decides what of it is
taken, `sdp_answer` writes the answer, `sdp_fragment` does ICE restarts.
"""

from hotpath.webrtc.sdp_answer import CandidateLine, SendSsrcs, publisher_answer, viewer_answer
from hotpath.webrtc.sdp_choice import (
    CAPTURE_TIME,
    MediaChoice,
    PublisherMedia,
    TrackChoice,
    ViewerMedia,
    choose_publisher,
    choose_viewer,
)
from hotpath.webrtc.sdp_fragment import Fragment, fragment_answer, parse_fragment
from hotpath.webrtc.sdp_lines import SdpError
from hotpath.webrtc.sdp_offer import Media, Offer, RtpCodec, parse_offer

__all__ = [
    "CAPTURE_TIME",
    "CandidateLine",
    "Fragment",
    "Media",
    "MediaChoice",
    "Offer",
    "PublisherMedia",
    "RtpCodec",
    "SdpError",
    "SendSsrcs",
    "TrackChoice",
    "ViewerMedia",
    "choose_publisher",
    "choose_viewer",
    "fragment_answer",
    "parse_fragment",
    "parse_offer",
    "publisher_answer",
    "viewer_answer",
]
