"""How a viewer and a server exchange descriptions: WHEP, and Janus' streaming plugin.

Blocking HTTP, meant for a pool of threads; a `Session` says how to end what was begun.
"""

import contextlib
import http.client
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from benchmarks.peer import Peer, Remote

TIMEOUT_S = 20.0
_H264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id="
# Payload types as a browser numbers them; RTX where a viewer wants repairs.
_VIDEO = {96: "42e01f", 98: "4d001f", 100: "64001f"}


class SignallingFailed(Exception):
    """The server refused; `status` is its HTTP status."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"HTTP {status}: {said[:200]}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Session:
    remote: Remote
    close: Callable[[], None]
    resource: str = ""
    keep: Callable[[], None] | None = None


def request(
    method: str, url: str, body: str | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode(errors="replace")
    finally:
        connection.close()


def offer(peer: Peer, *, repairs: bool = False) -> str:
    lines = [
        *("v=0", f"o=- {secrets.randbits(50)} 2 IN IP4 127.0.0.1", "s=-", "t=0 0"),
        *("a=group:BUNDLE 0 1", "a=extmap-allow-mixed", "a=msid-semantic: WMS"),
    ]
    payloads = [str(n + more) for n in _VIDEO for more in ((0, 1) if repairs else (0,))]
    lines += _media(peer, "video", payloads, 0)
    for number, profile in _VIDEO.items():
        lines += [f"a=rtpmap:{number} H264/90000", f"a=fmtp:{number} {_H264}{profile}"]
        lines += [f"a=rtcp-fb:{number} {name}" for name in ("nack pli", "ccm fir")]
        if repairs:
            lines += [f"a=rtcp-fb:{number} nack", f"a=rtpmap:{number + 1} rtx/90000"]
            lines.append(f"a=fmtp:{number + 1} apt={number}")
    lines += _media(peer, "audio", ["111"], 1)
    lines += ["a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1"]
    return "\r\n".join(lines) + "\r\n"


def _media(
    peer: Peer, kind: str, payloads: list[str], mid: int, setup: str = "actpass"
) -> list[str]:
    return [
        f"m={kind} 9 UDP/TLS/RTP/SAVPF {' '.join(payloads)}",
        *("c=IN IP4 0.0.0.0", f"a=ice-ufrag:{peer.ufrag}", f"a=ice-pwd:{peer.pwd}"),
        *(f"a=fingerprint:sha-256 {peer.fingerprint}", f"a=setup:{setup}", f"a=mid:{mid}"),
        *("a=recvonly", "a=rtcp-mux", "a=rtcp-rsize"),
        f"a=candidate:1 1 udp 2130706431 {peer.host} {peer.port} typ host",
    ]


def parse(sdp: str) -> Remote:
    text = sdp.replace("\r", "")

    def first(pattern: str) -> str:
        found = re.search(pattern, text, re.MULTILINE)
        return found[1] if found else ""

    def every(pattern: str) -> list[Any]:
        return re.findall(pattern, text, re.MULTILINE)

    found = every(r"^a=candidate:\S+ 1 (?:udp|UDP) \d+ ([\d.]+) (\d+) typ")
    return Remote(
        ufrag=first(r"^a=ice-ufrag:(\S+)"),
        pwd=first(r"^a=ice-pwd:(\S+)"),
        fingerprint=first(r"^a=fingerprint:sha-256 (\S+)").upper(),
        setup=first(r"^a=setup:(\S+)"),
        candidates=tuple(dict.fromkeys((host, int(port)) for host, port in found)),
        codecs={int(n): name.lower() for n, name in every(r"^a=rtpmap:(\d+) ([^/\s]+)/")},
        repairs={int(n): int(apt) for n, apt in every(r"^a=fmtp:(\d+) apt=(\d+)")},
    )


def whep(
    peer: Peer,
    url: str,
    *,
    token: str | None = None,
    repairs: bool = False,
    alter: Callable[[str], str] = lambda sdp: sdp,
) -> Session:
    """`alter` may change the answer, for example to lead through a relay."""
    headers = {"Content-Type": "application/sdp"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    status, answer_headers, answer = request("POST", url, offer(peer, repairs=repairs), headers)
    if status != 201:
        raise SignallingFailed(status, answer)
    resource = urljoin(url, answer_headers.get("Location", ""))
    return Session(parse(alter(answer)), lambda: _forget("DELETE", resource), resource)


def _forget(method: str, url: str) -> None:
    with contextlib.suppress(OSError):
        request(method, url)


def janus(peer: Peer, url: str) -> Session:
    """`url`: http://host:port/janus#MOUNTPOINT. Janus offers, the viewer answers."""
    base, _, mountpoint = url.partition("#")

    def ask(path: str, **fields: Any) -> dict[str, Any]:
        fields["transaction"] = secrets.token_hex(6)
        json_type = {"Content-Type": "application/json"}
        status, _, text = request("POST", base + path, json.dumps(fields), json_type)
        answer: dict[str, Any] = json.loads(text)
        if answer.get("janus") == "error":
            raise SignallingFailed(status, str(answer["error"]))
        return answer

    session = f"/{ask('', janus='create')['data']['id']}"
    attached = ask(session, janus="attach", plugin="janus.plugin.streaming")
    handle = f"{session}/{attached['data']['id']}"
    ask(handle, janus="message", body={"request": "watch", "id": int(mountpoint)})
    offered = _janus_offer(base + session)
    jsep = {"type": "answer", "sdp": _answer(peer, offered)}
    ask(handle, janus="message", body={"request": "start"}, jsep=jsep)
    ask(handle, janus="trickle", candidate={"completed": True})
    return Session(
        parse(offered),
        lambda: _forget_janus(ask, session),
        keep=lambda: _forget_janus(ask, session, "keepalive"),
    )


def _forget_janus(ask: Callable[..., dict[str, Any]], session: str, verb: str = "destroy") -> None:
    with contextlib.suppress(OSError, SignallingFailed):
        ask(session, janus=verb)


def _janus_offer(events: str) -> str:
    for _ in range(10):
        _, _, text = request("GET", f"{events}?maxev=5")
        for event in json.loads(text):
            if "jsep" in event:
                return str(event["jsep"]["sdp"])
            error = event.get("plugindata", {}).get("data", {}).get("error")
            if error:
                raise SignallingFailed(200, str(error))
    raise SignallingFailed(200, "Janus sent no offer")


def _answer(peer: Peer, offered: str) -> str:
    session, *medias = re.split(r"(?m)^(?=m=)", offered.replace("\r", ""))
    lines = ["v=0", f"o=- {secrets.randbits(50)} 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    lines += re.findall(r"(?m)^a=group:BUNDLE.*$", session)
    for media in medias:
        kind, _, _, *payloads = media.split("\n", 1)[0][2:].split()
        found = re.search(r"(?m)^a=mid:(\S+)", media)
        made = _media(peer, kind, payloads, 0, "active")
        mid = found[1] if found else "0"
        lines += [f"a=mid:{mid}" if line.startswith("a=mid:") else line for line in made]
        lines += re.findall(r"(?m)^a=(?:rtpmap|fmtp):\d+ .*$", media)
    return "\r\n".join(lines) + "\r\n"
