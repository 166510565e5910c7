"""TURN credentials as coturn's use-auth-secret computes them."""

from hotpath.fanout.turn import TurnServers, credentials, ice_server_links


def test_the_password_is_the_hmac_of_the_user_name() -> None:
    # openssl: printf '1700000000:ev_1' | openssl dgst -sha1 -hmac north -binary | base64
    assert credentials(b"north", "ev_1", 1_700_000_000) == (
        "1700000000:ev_1",
        "37o5I71TORIzugEVMAyz/ZkZUAk=",
    )


def test_turn_servers_come_with_credentials_and_stun_servers_without() -> None:
    servers = TurnServers(["stun:s.example:3478", "turn:t.example:3478?transport=udp"], b"x", 60)
    stun, turn = ice_server_links(servers, "ev_1", 1_000)
    assert stun == '<stun:s.example:3478>; rel="ice-server"'
    username, password = credentials(b"x", "ev_1", 1_060)
    assert turn == (
        f'<turn:t.example:3478?transport=udp>; rel="ice-server"; username="{username}"; '
        f'credential="{password}"; credential-type="password"'
    )


def test_without_a_secret_nothing_is_made_up() -> None:
    (link,) = ice_server_links(TurnServers(["turn:t.example"]), "ev_1", 0)
    assert "credential" not in link


def test_the_secret_is_not_shown() -> None:
    assert "north" not in repr(TurnServers(["turn:t.example"], b"north"))
