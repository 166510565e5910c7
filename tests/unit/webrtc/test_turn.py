"""TURN credentials as coturn's `use-auth-secret` checks them."""

import base64
import hashlib
import hmac

from hotpath.webrtc.turn import TurnServers, credentials, ice_server_links


def test_credentials_carry_their_end_and_the_servers_proof() -> None:
    username, password = credentials(b"shared", "session", 1_700_000_000)
    assert username == "1700000000:session"
    proof = hmac.new(b"shared", username.encode(), hashlib.sha1).digest()
    assert base64.b64decode(password) == proof


def test_each_server_is_one_link_and_only_turn_needs_credentials() -> None:
    servers = TurnServers(("turn:t.example:3478?transport=udp", "stun:s.example"), b"shared", 60)
    turn, stun = ice_server_links(servers, "session", 1_000)
    username, password = credentials(b"shared", "session", 1_060)
    assert turn == (
        f'<turn:t.example:3478?transport=udp>; rel="ice-server"; username="{username}"; '
        f'credential="{password}"; credential-type="password"'
    )
    assert stun == '<stun:s.example>; rel="ice-server"'


def test_no_servers_are_no_links_and_the_secret_is_not_shown() -> None:
    assert ice_server_links(TurnServers(), "session", 1_000) == []
    assert "hush" not in repr(TurnServers(("turn:t",), b"hush"))
