"""SDP offers of real peers, their answers, and what is refused."""

import re

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from hotpath.webrtc import sdp
from hotpath.webrtc.candidate import Candidate, host_candidates
from hotpath.webrtc.sdp_choice import h264_profile
from tests.support import offers

UFRAG, PWD = "4ZcD", "2/1muCWoOi3uLifh0NuRHlZQ"
FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)
CANDIDATES = host_candidates(["127.0.0.1", "::1"], 4321, tcp=True)
SSRCS = sdp.SendSsrcs(video=11, video_rtx=12, audio=13)
VIEWERS = [n for n in offers.NAMES if not n.endswith(("whip", "sim")) and "firefox" not in n]
PUBLISHERS = [n for n in offers.NAMES if n.endswith(("whip", "sim")) and "firefox" not in n]


def viewer_answer(text: str, profile: str | None = "42e01f") -> str:
    offer = sdp.parse_offer(text)
    return sdp.viewer_answer(
        offer,
        sdp.choose_viewer(offer, profile_level_id=profile),
        ufrag=UFRAG,
        pwd=PWD,
        fingerprint=FINGERPRINT,
        candidates=CANDIDATES,
        setup=offer.answer_setup,
        ssrcs=SSRCS,
        cname="cn",
        stream_id="live",
    )


def publisher_answer(text: str) -> str:
    offer = sdp.parse_offer(text)
    return sdp.publisher_answer(
        offer,
        sdp.choose_publisher(offer),
        ufrag=UFRAG,
        pwd=PWD,
        fingerprint=FINGERPRINT,
        candidates=CANDIDATES,
        setup=offer.answer_setup,
    )


def video_of(text: str, profile: str) -> sdp.TrackChoice:
    chosen = sdp.choose_viewer(sdp.parse_offer(text), profile_level_id=profile).video
    assert chosen is not None
    return chosen


@pytest.mark.parametrize("name", offers.NAMES)
def test_every_real_offer_is_read(name: str) -> None:
    offer = sdp.parse_offer(offers.offer(name))
    assert re.fullmatch(r"sha-256 [0-9A-F]{2}(:[0-9A-F]{2}){31}", offer.fingerprint)
    assert offer.setup == ("passive" if name == "ffmpeg-whip" else "actpass")
    assert len(offer.pwd) >= 22
    assert {m.kind for m in offer.medias} >= {"audio", "video"}


@pytest.mark.parametrize("name", offers.NAMES)
def test_bare_line_feeds_make_no_difference(name: str) -> None:
    text = offers.offer(name).replace("\r\n", "\n")
    assert sdp.parse_offer(text) == sdp.parse_offer(text.replace("\n", "\r\n"))


@pytest.mark.parametrize("name", VIEWERS)
def test_viewers_are_answered_with_one_h264_and_one_opus(name: str) -> None:
    text = offers.offer(name)
    answer = SessionDescription.parse(viewer_answer(text))
    assert len(answer.media) == len(sdp.parse_offer(text).medias)
    taken = [m for m in answer.media if m.port]
    assert sorted(m.kind for m in taken) == ["audio", "video"]
    assert all(m.direction == "sendonly" and m.rtcp_mux for m in taken)
    assert answer.group[0].items == [m.rtp.muxId for m in taken]
    assert all(m.ice.iceLite for m in taken)
    video = next(m for m in taken if m.kind == "video")
    assert video.rtp.codecs[0].mimeType == "video/H264"
    assert video.rtp.codecs[0].parameters["packetization-mode"] == "1"
    assert [s.ssrc for s in video.ssrc][:1] == [11]


@pytest.mark.parametrize("name", PUBLISHERS)
def test_publishers_are_answered_with_what_they_send(name: str) -> None:
    answer = SessionDescription.parse(publisher_answer(offers.offer(name)))
    assert [m.direction for m in answer.media] == ["recvonly", "recvonly"]
    assert {m.rtp.codecs[0].mimeType for m in answer.media} == {"video/H264", "audio/opus"}
    assert "simulcast" not in publisher_answer(offers.offer(name))


@pytest.mark.parametrize("role", ["whep", "whip"])
async def test_aiortc_takes_the_answer_to_its_own_offer(role: str) -> None:
    peer = RTCPeerConnection()
    direction = "recvonly" if role == "whep" else "sendonly"
    peer.addTransceiver("audio", direction=direction)
    peer.addTransceiver("video", direction=direction)
    await peer.setLocalDescription(await peer.createOffer())
    text = peer.localDescription.sdp
    answer = viewer_answer(text) if role == "whep" else publisher_answer(text)
    try:
        await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        video = peer.getTransceivers()[1]
        assert video.currentDirection == direction
    finally:
        await peer.close()


def test_rfc8842_5_a_passive_peer_is_answered_actively() -> None:
    answer = publisher_answer(offers.offer("ffmpeg-whip"))
    assert answer.count("a=setup:active") == 2
    assert "nack pli" not in answer  # only what it offered
    assert "a=rtcp-fb:106 nack\r\n" in answer
    assert "a=rtpmap:105 rtx/90000\r\na=fmtp:105 apt=106" in answer


def test_the_publishers_ssrcs_are_known_where_it_tells_them() -> None:
    chosen = sdp.choose_publisher(sdp.parse_offer(offers.offer("ffmpeg-whip")))
    assert chosen.video is not None
    assert (chosen.video.ssrc, chosen.video.rtx_ssrc) == (3443795782, 3443795783)


def test_a_peer_without_h264_is_told_so() -> None:
    offer = sdp.parse_offer(offers.offer("firefox-whep"))  # without its OpenH264 plugin
    with pytest.raises(sdp.SdpError, match="av1, red, rtx, ulpfec, vp8, vp9 but not H264"):
        sdp.choose_viewer(offer, profile_level_id="42e01f")


@pytest.mark.parametrize(
    ("stream", "offered", "profile"),
    [
        ("42c01f", "chromium-whep", "42e01f"),
        ("42001f", "chromium-whep", "42001f"),
        ("4d4028", "chromium-whep", "4d001f"),
        ("640028", "chromium-whep", "f4001f"),
        ("640028", "safari-whep", "640c1f"),
        ("4d0028", "safari-whep", "640c1f"),
        ("640c1f", "aiortc-whep", "42001f"),
    ],
)
def test_rfc6184_8_2_2_the_streams_profile_or_the_least_above_it(
    stream: str, offered: str, profile: str
) -> None:
    assert video_of(offers.offer(offered), stream).fmtp.endswith(f"profile-level-id={profile}")


def test_rfc6184_table_5() -> None:
    ids = [
        "42e01f",
        "4d801f",
        "58c01f",
        "42001f",
        "58801f",
        "4d001f",
        "640c1f",
        "64001f",
        "f4001f",
        "6e001f",
    ]
    assert [h264_profile(id) for id in ids] == [0, 0, 0, 1, 1, 2, 3, 4, 5, 6]


def test_packetization_mode_1_is_preferred_to_silence_and_mode_0_is_never_taken() -> None:
    lines = "a=rtpmap:101 H264/90000"
    text = offers.offer("gstreamer-whep")
    assert video_of(text, "42e01f").fmtp == "packetization-mode=1"
    other = text.replace("F 101\n", "F 101 102\n").replace(
        lines, f"{lines}\na=rtpmap:102 H264/90000\na=fmtp:102 packetization-mode=1"
    )
    assert video_of(other, "42e01f").payload_type == 102
    single = text.replace(lines, f"{lines}\na=fmtp:101 packetization-mode=0")
    with pytest.raises(sdp.SdpError, match="packetization-mode=1"):
        sdp.choose_viewer(sdp.parse_offer(single), profile_level_id="42e01f")


def test_rfc9143_6_bundle_only_sections_have_port_0_and_are_taken() -> None:
    chosen = sdp.choose_viewer(
        sdp.parse_offer(offers.offer("gstreamer-whep")), profile_level_id="42e01f"
    )
    assert chosen.mids == ("video0", "audio1")


def test_rfc8829_5_3_1_other_sections_are_rejected_in_place() -> None:
    text = offers.offer("chromium-data")
    answer = viewer_answer(text)
    ports = re.findall(r"m=(\S+) (\d+) ", answer)
    kinds = [m.kind for m in sdp.parse_offer(text).medias]
    assert [kind for kind, _ in ports] == kinds
    assert [kind for kind, port in ports if port != "0"] == ["video", "audio"]
    rejected = [m for m in re.split(r"(?m)^(?=m=)", answer)[1:] if m.split()[1] == "0"]
    assert all("ice-ufrag" not in m and "a=inactive" in m for m in rejected)


def test_the_transport_may_stand_in_the_section_that_the_bundle_names_first() -> None:
    text = offers.offer("gstreamer-whep")
    head, audio = text.split("m=audio")
    bare = head + "m=audio" + offers.without(offers.without(audio, "a=ice-"), "a=fingerprint")
    assert sdp.parse_offer(bare).ufrag == sdp.parse_offer(text).ufrag


def test_rfc8122_5_the_sha_256_fingerprint_is_taken_of_several() -> None:
    offer = sdp.parse_offer(offers.offer("aiortc-whip"))
    assert offer.fingerprint.startswith("sha-256 ")


def test_rfc4588_rtx_is_answered_only_with_nack() -> None:
    text = offers.offer("chromium-whep")
    assert video_of(text, "42e01f").rtx_payload_type is not None
    assert "a=ssrc-group:FID 11 12" in viewer_answer(text)
    silent = re.sub(r"a=rtcp-fb:\d+ nack\r\n", "", text)
    assert video_of(silent, "42e01f").rtx_payload_type is None
    assert "FID" not in viewer_answer(silent)


def test_abs_capture_time_is_answered_where_it_is_offered() -> None:
    assert video_of(offers.offer("safari-whep"), "42e01f").capture_time_id == 9
    assert f"a=extmap:9 {sdp.CAPTURE_TIME}" in viewer_answer(offers.offer("safari-whep"))
    assert "extmap" not in viewer_answer(offers.offer("chromium-whep"))


def test_udp_candidates_come_first() -> None:
    tcp = Candidate("1", "tcp", 1, "127.0.0.1", 9, tcptype="passive")
    lines = re.findall("a=candidate:.*", viewer_answer(offers.offer("chromium-whep")))
    assert lines[0] == f"a=candidate:{CANDIDATES[0].line()}\r"
    assert " tcp " in lines[2]
    assert tcp.line().split()[2] == "tcp"


VALID = offers.offer("obs-whip").replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no m-line"),
        ("v=0\nm=audio\n", "full m-line"),
        ("x" * 5000, "4096 characters"),
        ("a=x\n" * 20_000, "65536 bytes"),
        ("\n" * 5000, "4096 lines"),
        (VALID + "m=video 9 RTP/AVP 1\n" * 40, "32 m-lines"),
        (VALID + "m=video 9 RTP/AVP" + " 1" * 200 + "\n", "128 formats"),
        (VALID.replace("a=group:BUNDLE 0 1\n", ""), "BUNDLE"),
        (offers.without(VALID, "a=ice-ufrag"), "ice-ufrag"),
        (re.sub("a=ice-pwd:.*", "a=ice-pwd:short", VALID), "22 characters"),
        (offers.without(VALID, "a=fingerprint"), "fingerprint is missing"),
        (VALID.replace("sha-256", "sha-1"), "no sha-256 value .only sha-1."),
        (VALID.replace("actpass", "holdconn"), "actpass"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_the_fix(text: str, says: str) -> None:
    with pytest.raises(sdp.SdpError, match=says):
        sdp.parse_offer(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (offers.without(VALID, "a=rtcp-mux"), "rtcp-mux"),
        (VALID.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "SAVPF"),
        (VALID.replace("a=sendonly", "a=recvonly"), "offer sendonly"),
        (VALID.replace("opus/48000/2", "pcmu/8000"), "not opus"),
    ],
)
def test_what_a_publisher_must_offer(text: str, says: str) -> None:
    with pytest.raises(sdp.SdpError, match=says):
        sdp.choose_publisher(sdp.parse_offer(text))


def test_rfc8840_an_ice_restart_is_answered_in_kind() -> None:
    text = (
        "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:ysXw\r\n"
        "a=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\na=candidate:1 1 udp 2 192.0.2.1 9 typ host\r\n"
    )
    fragment = sdp.parse_fragment(text)
    assert fragment.ufrag == "ysXw"
    assert fragment.candidates == ("1 1 udp 2 192.0.2.1 9 typ host",)
    assert not fragment.end_of_candidates
    answer = sdp.fragment_answer(fragment, ufrag=UFRAG, pwd=PWD, candidates=CANDIDATES[:1])
    assert answer.split("\r\n") == [
        "a=ice-lite",
        "a=group:BUNDLE 0 1",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=mid:0",
        f"a=ice-ufrag:{UFRAG}",
        f"a=ice-pwd:{PWD}",
        f"a=candidate:{CANDIDATES[0].line()}",
        "a=end-of-candidates",
        "",
    ]


def test_a_fragment_may_hold_candidates_alone_but_not_nothing() -> None:
    assert sdp.parse_fragment("m=a 9 x 0\na=mid:0\na=end-of-candidates").ufrag is None
    with pytest.raises(sdp.SdpError, match="neither"):
        sdp.parse_fragment("a=mid:0")


@st.composite
def bent_offers(draw: st.DrawFn) -> str:
    """A real offer with lines cut, doubled, swapped or replaced."""
    lines = offers.offer(draw(st.sampled_from(offers.NAMES))).split("\r\n")
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        what = draw(st.sampled_from(["drop", "double", "cut", "junk", "move"]))
        if what == "drop":
            lines[at : at + draw(st.integers(1, 30))] = [""]
        elif what == "double":
            lines.insert(at, lines[draw(st.integers(0, len(lines) - 1))])
        elif what == "cut":
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        elif what == "junk":
            lines[at] += draw(st.text(max_size=20))
        else:
            lines.append(lines.pop(at))
    return draw(st.sampled_from(["\n", "\r\n", "\r"])).join(lines)


@given(bent_offers() | st.text(max_size=300))
def test_any_text_is_answered_or_refused(text: str) -> None:
    for answer in (viewer_answer, publisher_answer):
        try:
            made = answer(text)
        except sdp.SdpError:
            continue
        assert made.count("\r\nm=") == len(sdp.parse_offer(text).medias)
        assert "\n" not in made.replace("\r\n", "")


@given(bent_offers() | st.text(max_size=300))
def test_any_text_is_a_fragment_or_refused(text: str) -> None:
    try:
        fragment = sdp.parse_fragment(text)
    except sdp.SdpError:
        return
    assert len(fragment.candidates) <= 64
