"""The ICE-lite agent: RFC 8445 (lite), RFC 7675; test names carry the sections."""

import hmac
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotpath.webrtc import ice, stun
from hotpath.webrtc.ice import IceAgent
from hotpath.webrtc.ice_events import (
    ConsentExpired,
    Credentials,
    IceEvent,
    PathSelected,
    Retired,
    Send,
    Source,
)
from hotpath.webrtc.stun import Kind

MS = 1_000_000
S = 1000 * MS
HERE = Credentials("here", "p" * 32)
THERE = Credentials("there", "q" * 32)
NEW_HERE = Credentials("newhere", "r" * 32)
NEW_THERE = Credentials("newthere", "s" * 32)
HOME, MOBILE = "wifi", "5g"
ADDRESS = ("192.0.2.1", 5)
_numbers = count(1)


def agent(*, consent_ns: int = 15 * S) -> IceAgent:
    made = IceAgent(HERE, seed=b"seed" * 4, consent_ns=consent_ns)
    made.set_remote(THERE)
    return made


def check(
    user: Credentials = HERE,
    *,
    nominate: bool = False,
    controlling: bool = True,
    key: bytes | None = None,
) -> bytes:
    transaction = next(_numbers).to_bytes(12, "big")
    return stun.request(
        transaction,
        f"{user.ufrag}:there",
        user.key if key is None else key,
        priority=1,
        tie_breaker=1,
        controlling=controlling,
        use_candidate=nominate,
    )


def send(to: IceAgent, data: bytes, source: Source, now: int) -> stun.Message | None:
    reply = to.receive(stun.parse(data), data, source, ADDRESS, now)
    return None if reply is None else stun.parse(reply)


def established(at: int = 0) -> IceAgent:
    """Connected over HOME, its first round trip measured."""
    made = agent()
    send(made, check(nominate=True), HOME, at)
    answer(made, made.poll(at), at)
    made.establish(at)
    answer(made, made.poll(at), at + 5 * MS)
    return made


def answer(to: IceAgent, events: list[IceEvent], now: int, key: bytes = THERE.key) -> None:
    """The peer answers every check of ours."""
    for event in events:
        if isinstance(event, Send):
            reply = stun.response(stun.parse(event.data), ("198.51.100.1", 9), key)
            send(to, reply, event.source, now)


def test_rfc8445_7_3_the_first_check_is_answered_and_selects_its_path() -> None:
    lite = agent()
    reply = send(lite, check(), HOME, 0)
    assert reply is not None
    assert (reply.kind, reply.mapped) == (Kind.RESPONSE, ADDRESS)
    selected, proof = lite.poll(0)
    assert selected == PathSelected(HOME)
    assert isinstance(proof, Send)
    assert (lite.selected, lite.proves(HOME)) == (HOME, False)
    answer(lite, [proof], 5 * MS)
    assert (lite.selected, lite.proves(HOME)) == (HOME, True)
    assert lite.poll(5 * MS) == []
    assert lite.round_trip_ns == 5 * MS


@pytest.mark.parametrize(
    "data",
    [
        check(key=b"wrong"),
        check(Credentials("stranger", HERE.pwd)),
        stun.response(stun.parse(check()), ADDRESS, HERE.key),
    ],
)
def test_rfc8489_9_1_3_what_is_not_authentic_changes_nothing(data: bytes) -> None:
    lite = agent()
    assert lite.receive(stun.parse(data), data, HOME, ADDRESS, 0) is None
    assert lite.poll(0) == []
    assert lite.sources == ()


def test_rfc8445_7_3_1_1_a_controlled_peer_is_told_487() -> None:
    lite = agent()
    reply = send(lite, check(controlling=False), HOME, 0)
    assert reply is not None
    assert reply.error == 487
    assert lite.selected is None


def test_rfc8489_6_3_1_unknown_required_attributes_are_answered_420() -> None:
    lite = agent()
    data = check()
    message = stun.parse(data)
    message.unknown = (0x7777,)
    reply = lite.receive(message, data, HOME, ADDRESS, 0)
    assert reply is not None
    assert stun.parse(reply).error == 420
    assert lite.selected is None


def test_rfc8445_8_1_1_nomination_moves_a_path_that_is_not_proven_without_asking() -> None:
    lite = agent()
    send(lite, check(), HOME, 0)
    send(lite, check(), MOBILE, 1)
    assert lite.selected == HOME
    send(lite, check(nominate=True), MOBILE, 2)
    assert lite.selected == MOBILE
    assert [e.source for e in lite.poll(2) if isinstance(e, Send)] == [HOME, MOBILE]


def test_a_forged_check_does_not_move_a_proven_path_before_dtls_is_done_either() -> None:
    """Else whoever has a session could have its media sent to somebody who never asked for it."""
    lite = agent()
    send(lite, check(), HOME, 0)
    answer(lite, lite.poll(0), 0)
    for n in range(50):
        send(lite, check(nominate=True), "victim", n * MS)
        lite.establish(n * MS)
    assert lite.selected == HOME


def test_a_proof_that_got_lost_is_asked_for_again() -> None:
    lite = agent()
    send(lite, check(), HOME, 0)
    now = 0
    while lite.busy:
        now = lite.next_deadline() or now
        lite.poll(now)
    send(lite, check(), HOME, now)
    answer(lite, lite.poll(now), now)
    assert lite.proves(HOME)


def test_an_address_that_proves_itself_by_its_protocol_needs_no_check() -> None:
    lite = agent()
    data = check()
    lite.receive(stun.parse(data), data, HOME, ADDRESS, 0, proven=True)
    assert lite.poll(0) == [PathSelected(HOME)]
    assert lite.proves(HOME)


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 400)), max_size=30),
    st.sampled_from(["abcd", "u" * 256]),
    st.booleans(),
)
def test_rfc9000_8_1_an_address_that_never_answers_gets_little(
    steps: list[tuple[bool, bool, int]], remote: str, connected: bool
) -> None:
    lite = established() if connected else agent()
    lite.set_remote(Credentials(remote, THERE.pwd))
    now, received, sent = S, 0, 0
    for victim, nominate, wait in steps:
        now += wait * MS
        data = check(nominate=nominate)
        reply = lite.receive(stun.parse(data), data, "victim" if victim else HOME, ADDRESS, now)
        assert reply is not None
        assert len(reply) <= len(data)
        if victim:
            received, sent = received + len(data), sent + len(reply)
        events = lite.poll(now)
        sent += sum(len(e.data) for e in events if isinstance(e, Send) and e.source == "victim")
        assert sent <= ice.UNPROVEN_TIMES * received
        assert not lite.proves("victim")


def test_a_check_so_bare_that_its_reply_would_be_larger_gets_none() -> None:
    lite = agent()
    name = b"here:a"
    body = b"\0\6\0\6" + name + bytes(2)
    head = b"\0\1" + (len(body) + 24).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + bytes(12)
    tag = hmac.digest(HERE.key, head + body, "sha1")
    bare = head + body + b"\0\x08\0\x14" + tag
    message = stun.parse(bare)
    assert lite.authentic(message, bare)
    assert lite.receive(message, bare, HOME, ("2001:db8::1", 5), 0) is None
    assert (lite.selected, lite.poll(0)) == (None, [])
    assert lite.receive(message, bare, HOME, ("2001:db8::1", 5), 0, proven=True) is not None


def test_a_connected_peer_moves_only_to_an_address_that_answers() -> None:
    lite = established()
    assert send(lite, check(nominate=True), MOBILE, S) is not None
    events = lite.poll(S)
    assert [e.source for e in events if isinstance(e, Send)] == [MOBILE]
    assert lite.selected == HOME
    answer(lite, events, S + 20 * MS)
    assert lite.selected == MOBILE
    assert lite.poll(S + 20 * MS) == [PathSelected(MOBILE)]
    assert lite.round_trip_ns == 20 * MS


@pytest.mark.parametrize("forgery", ["elsewhere", "key", "transaction"])
def test_a_forged_answer_moves_nothing(forgery: str) -> None:
    lite = established()
    send(lite, check(nominate=True), MOBILE, S)
    (probe,) = (e for e in lite.poll(S) if isinstance(e, Send))
    request = stun.parse(probe.data)
    if forgery == "transaction":
        request.transaction = bytes(12)
    key = b"wrong" if forgery == "key" else THERE.key
    source = HOME if forgery == "elsewhere" else MOBILE
    send(lite, stun.response(request, ADDRESS, key), source, S)
    assert lite.selected == HOME


def test_our_check_is_resent_and_given_up() -> None:
    lite = established()
    send(lite, check(nominate=True), MOBILE, S)
    sent = [e for e in lite.poll(S) if isinstance(e, Send)]
    now = S
    while lite.busy:
        send(lite, check(), MOBILE, now)
        deadline = lite.next_deadline()
        assert deadline is not None
        assert deadline > now
        now = deadline
        sent += [e for e in lite.poll(now) if isinstance(e, Send) and e.source == MOBILE]
    assert len({e.data for e in sent}) == 1
    assert len(sent) == 5
    assert lite.selected == HOME


def test_a_rebound_client_moves_without_nomination_once_the_old_address_is_silent() -> None:
    lite = established()
    send(lite, check(), MOBILE, 2 * S)
    assert not lite.busy
    send(lite, check(), MOBILE, 4 * S)
    answer(lite, lite.poll(4 * S), 4 * S)
    assert lite.selected == MOBILE


def test_media_from_the_selected_address_keeps_it() -> None:
    lite = established()
    lite.heard(HOME, 3 * S)
    send(lite, check(), MOBILE, 4 * S)
    assert not lite.busy
    lite.heard("never checked", 4 * S)
    assert "never checked" not in lite.sources


def test_rfc7675_consent_expires_without_checks() -> None:
    lite = established()
    now = 0
    while ConsentExpired() not in lite.poll(now):
        deadline = lite.next_deadline()
        assert deadline is not None
        now = max(deadline, now + 1)
    assert now == 15 * S + 5 * MS  # since the answer to our own check


def test_rfc7675_checks_renew_consent() -> None:
    lite = established()
    for second in range(0, 60, 5):
        send(lite, check(), HOME, second * S)
        assert ConsentExpired() not in lite.poll(second * S)


def test_rfc8445_9_restart_keeps_the_old_credentials_until_the_new_are_used() -> None:
    lite = established()
    lite.restart(NEW_HERE, NEW_THERE)
    assert send(lite, check(), HOME, S) is not None
    assert lite.poll(S) == []
    assert send(lite, check(NEW_HERE, nominate=True), MOBILE, S) is not None
    events = lite.poll(S)
    assert Retired("here") in events
    assert lite.selected == HOME
    answer(lite, events, S, NEW_THERE.key)
    assert lite.selected == MOBILE
    assert send(lite, check(), HOME, 2 * S) is None


def test_rfc8445_9_a_second_restart_replaces_the_unused_first() -> None:
    lite = established()
    lite.restart(NEW_HERE, NEW_THERE)
    lite.restart(Credentials("third", "t" * 32), NEW_THERE)
    assert lite.poll(S) == [Retired("newhere")]
    assert send(lite, check(NEW_HERE), HOME, S) is None
    assert send(lite, check(), HOME, S) is not None


def test_sources_are_bounded_and_the_selected_one_stays() -> None:
    lite = established()
    for number in range(50):
        send(lite, check(), number, S + number)
    assert len(lite.sources) == ice.MAX_SOURCES
    assert HOME in lite.sources


@given(st.lists(st.tuples(st.sampled_from("nchrtwp"), st.integers(0, 2), st.integers(0, 4000))))
def test_any_sequence_keeps_the_path_among_the_proven(steps: list[tuple[str, int, int]]) -> None:
    """After DTLS, `selected` is only ever HOME or an address that answered a check of ours."""
    lite = established()
    now, proven = 5 * MS, {HOME}
    pending: list[IceEvent] = []
    for action, source, wait in steps:
        now += wait * MS
        where = (HOME, MOBILE, "elsewhere")[source]
        if action in "nc":
            send(lite, check(nominate=action == "n"), where, now)
        elif action == "h":
            lite.heard(where, now)
        elif action == "w":
            send(lite, check(key=b"wrong", nominate=True), where, now)
        elif action == "r":
            proven |= {e.source for e in pending if isinstance(e, Send)}
            answer(lite, pending, now)
        pending = [*pending, *lite.poll(now)][-3:]
        assert lite.selected in proven
