"""ICE candidates: RFC 8445 priorities, RFC 6544 TCP, RFC 8839 grammar."""

import pytest
from aioice.candidate import Candidate as Reference

from hotpath.webrtc.candidate import Candidate, host_candidates, parse
from hotpath.webrtc.errors import CandidateError


def test_rfc8445_5_1_2_udp_is_preferred_in_the_order_given() -> None:
    found = host_candidates(["198.51.100.1", "2001:db8::1", "198.51.100.1"], 7000, tcp=True)
    assert [(c.protocol, c.address) for c in found] == [
        ("udp", "198.51.100.1"),
        ("udp", "2001:db8::1"),
        ("tcp", "198.51.100.1"),
        ("tcp", "2001:db8::1"),
    ]
    assert [c.priority for c in found] == sorted((c.priority for c in found), reverse=True)
    assert found[0].priority == 2130706431
    assert len({c.foundation for c in found}) == 4
    assert {c.tcptype for c in found} == {None, "passive"}


def test_rfc8839_5_1_an_independent_parser_reads_it() -> None:
    for candidate in host_candidates(["198.51.100.1", "2001:db8::1"], 7000, tcp=True):
        read = Reference.from_sdp(candidate.line())
        assert (read.host, read.port, read.transport, read.priority, read.tcptype) == (
            candidate.address,
            7000,
            candidate.protocol,
            candidate.priority,
            candidate.tcptype,
        )
        assert parse(f"a=candidate:{candidate.line()}") == candidate


def test_a_browsers_line() -> None:
    line = (
        "candidate:3 1 UDP 1677729535 203.0.113.5 50000 typ srflx raddr 0.0.0.0 rport 0 "
        "generation 0 ufrag abcd network-cost 999"
    )
    assert parse(line) == Candidate("3", "udp", 1677729535, "203.0.113.5", 50000, type="srflx")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "candidate:1 1 udp 5 1.2.3.4 7000",
        "1 1 sctp 5 1.2.3.4 7000 typ host",
        "1 1 udp 5 1.2.3.4 70000 typ host",
        "1 1 udp -5 1.2.3.4 7000 typ host",
        "1 1 udp 5 1.2.3.4 port typ host",
        "1 1 udp 5 1.2.3.4 7000 kind host",
        "! 1 udp 5 1.2.3.4 7000 typ host",
        f"1 1 udp 5 {'a' * 256} 7000 typ host",
    ],
)
def test_what_is_no_candidate_is_refused(line: str) -> None:
    with pytest.raises(CandidateError):
        parse(line)
