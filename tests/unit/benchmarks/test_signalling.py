"""What a light viewer reads out of an answer."""

from benchmarks.peer import Peer
from benchmarks.signalling import offer, parse

ANSWER = """v=0\r
a=ice-lite\r
m=video 9 UDP/TLS/RTP/SAVPF 96 97\r
a=ice-ufrag:abcd\r
a=ice-pwd:secret/with+signs\r
a=fingerprint:sha-256 aa:bb\r
a=setup:passive\r
a=candidate:1 1 udp 2130706431 127.0.0.1 4000 typ host\r
a=candidate:2 1 tcp 1 127.0.0.1 4000 typ host tcptype passive\r
a=candidate:3 2 udp 1 127.0.0.1 4001 typ host\r
a=candidate:4 1 udp 2130706430 ::1 4000 typ host\r
a=rtpmap:96 H264/90000\r
a=rtpmap:97 rtx/90000\r
a=fmtp:97 apt=96\r
m=audio 9 UDP/TLS/RTP/SAVPF 111\r
a=candidate:1 1 udp 2130706431 127.0.0.1 4000 typ host\r
a=rtpmap:111 opus/48000/2\r
"""


def test_an_answer_gives_one_candidate_and_the_codecs() -> None:
    remote = parse(ANSWER)
    assert remote.candidates == (("127.0.0.1", 4000),)
    assert (remote.ufrag, remote.pwd) == ("abcd", "secret/with+signs")
    assert (remote.fingerprint, remote.setup) == ("AA:BB", "passive")
    assert remote.codecs == {96: "h264", 97: "rtx", 111: "opus"}
    assert remote.repairs == {97: 96}


def test_repairs_are_offered_only_when_wanted() -> None:
    peer = Peer()
    try:
        assert "rtx" not in offer(peer)
        assert "a=fmtp:97 apt=96" in offer(peer, repairs=True)
        assert parse(offer(peer)).candidates == (("127.0.0.1", peer.port),)
    finally:
        peer.close()
