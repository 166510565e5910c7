"""A real link between two network namespaces: veth, and htb where it has a rate. Needs root.

with link(mtu=1000) as wire, wire.sender() as ours, wire.receiver() as theirs:
    ours.sendto(b"…", theirs.getsockname())
"""

import ctypes
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.missing import missing

SENDER, RECEIVER = "10.213.0.1", "10.213.0.2"
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _inside(namespace: str, make: Callable[[], socket.socket]) -> socket.socket:
    """A socket belongs to the namespace of the thread that made it, for ever."""

    def enter() -> socket.socket:
        with (Path("/run/netns") / namespace).open() as handle:
            if _LIBC.setns(handle.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
        return make()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(enter).result()


def _bound(address: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((address, 0))
    return made


@dataclass(frozen=True, slots=True)
class Link:
    name: str

    def sender(self) -> socket.socket:
        return _inside(f"{self.name}a", lambda: _bound(SENDER))

    def receiver(self) -> socket.socket:
        return _inside(f"{self.name}b", lambda: _bound(RECEIVER))


def _make(name: str, mtu: int, rate_mbit: int) -> None:
    for end in "ab":
        _run("ip", "netns", "add", name + end)
    near, far = name + "a", name + "b"
    _run("ip", "link", "add", near, "netns", near, "type", "veth",
         "peer", "name", far, "netns", far)  # fmt: skip
    for end, address in ((near, SENDER), (far, RECEIVER)):
        _run("ip", "-n", end, "addr", "add", f"{address}/24", "dev", end)
        _run("ip", "-n", end, "link", "set", end, "mtu", str(mtu), "up")
        _run("ip", "-n", end, "link", "set", "lo", "up")
    if rate_mbit:
        tc = ("tc", "-n", near)
        _run(*tc, "qdisc", "add", "dev", near, "root", "handle", "1:", "htb", "default", "1")
        _run(*tc, "class", "add", "dev", near, "parent", "1:", "classid", "1:1", "htb",
             "rate", f"{rate_mbit}mbit", "burst", "64k", "cburst", "64k")  # fmt: skip


@contextmanager
def link(*, mtu: int = 1500, rate_mbit: int = 0) -> Iterator[Link]:
    """Skips the test where namespaces cannot be made."""
    if os.geteuid():
        pytest.skip("network namespaces need root")
    if not shutil.which("ip") or (rate_mbit and not shutil.which("tc")):
        pytest.skip(missing("ip and tc"))
    name = f"lp{secrets.token_hex(3)}"
    try:
        try:
            _make(name, mtu, rate_mbit)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no namespaces here: {error.stderr.decode().strip()}")
        yield Link(name)
    finally:
        for end in "ab":
            with suppress(subprocess.CalledProcessError):
                _run("ip", "netns", "del", name + end)
