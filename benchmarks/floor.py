"""The floor under any server on this machine: the same packets through the same kernel path, plain.

Sends the stamped programme's RTP to plain UDP sockets with `sendmmsg` and GSO from the fan-out
kernel with encryption off: no ICE, no DTLS, no SRTP, no RTCP from viewers, no ingest. What is left
is the system calls, the loopback device and the packet headers.
"""

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.accounting import socket_drops, usage
from benchmarks.receive import DESCRIPTORS, Receiver
from benchmarks.stamped import Recipe, programme
from hotpath.fanout.kernel import Frame, Kernel, RtpTrack, Stream
from hotpath.fanout.packetize import H264Packetizer, opus_payloads
from hotpath.ingest.session import FormatsChanged, TsIngest, UnitsReady
from hotpath.media.unit import Format, Unit
from hotpath.webrtc.path import Path
from hotpath.webrtc.srtp import SrtpKeys, SrtpProfile

VIDEO, AUDIO = 96, 111
GATHER_S = 0.002


def measure(viewers: int, seconds: float, send_on: Sequence[int] = ()) -> dict[str, Any]:
    """µs of the sender's CPU for each packet that arrived."""
    sockets = [_socket() for _ in range(viewers)]
    receiver = Receiver(viewers)
    try:
        for one in sockets:
            receiver.add(one, keep_media=False)
        ports = [int(one.getsockname()[1]) for one in sockets]
        with _sender(ports, send_on) as pid:
            _run(receiver, lambda: all(receiver.counts(n) for n in range(viewers)), 30)
            _run(receiver, lambda: False, 1)
            packets, before = _packets(receiver, viewers), usage([pid])
            drops = socket_drops(ports)
            _run(receiver, lambda: False, seconds)
            got = _packets(receiver, viewers) - packets
            cpu = usage([pid]).since(before)
            return {
                "us_per_packet": round(1e6 * cpu / max(1, got), 3),
                "pps_per_viewer": round(got / seconds / viewers, 1),
                "socket_drops": socket_drops(ports) - drops,
            }
    finally:
        receiver.close()
        for one in sockets:
            one.close()


def _socket() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    one.bind(("127.0.0.1", 0))
    return one


def _run(receiver: Receiver, until: Any, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and not until():
        receiver.receive(5)
        time.sleep(GATHER_S)


def _packets(receiver: Receiver, viewers: int) -> int:
    return sum(s.packets for n in range(viewers) for s in receiver.counts(n))


@contextmanager
def _sender(ports: Sequence[int], cores: Sequence[int]) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.floor", *(f"--core={core}" for core in cores)],
        stdin=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(ports) + "\n")
        process.stdin.close()
        yield process.pid
    finally:
        process.kill()
        process.wait()


# -- the sending process ------------------------------------------------------------------------


def send(ports: Sequence[int]) -> None:
    """Frames at their pace, for ever."""
    units, formats = _programme()
    packetizer = H264Packetizer(next(f for f in formats if f.track == "video"))
    with Kernel(shards=1, crypto="none") as kernel:
        video = kernel.stream(90_000, video=True)
        audio = kernel.stream(48_000, video=False)
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        out.bind(("127.0.0.1", 0))
        watching = [_viewer(kernel, out.fileno(), port, video, audio) for port in ports]
        started, offset = time.monotonic(), 0
        while watching:
            for unit in units:
                dts = unit.dts - units[0].dts + offset
                time.sleep(max(0.0, started + dts / 90_000 - time.monotonic()))
                if unit.track == "video":
                    video.push(_frame(unit, dts, packetizer.payloads(unit)))
                else:
                    audio.push(_frame(unit, dts * 48 // 90, opus_payloads(unit)))
            offset += units[-1].dts - units[0].dts + 3000


def _programme() -> tuple[list[Unit], Sequence[Format]]:
    session = TsIngest()
    units: list[Unit] = []
    formats: Sequence[Format] = ()
    session.receive(programme(Recipe(audio="libopus")).read_bytes(), 1)
    session.flush()
    for event in session.poll(1):
        if isinstance(event, UnitsReady):
            units += event.units
        elif isinstance(event, FormatsChanged):
            formats = event.formats
    return units, formats


def _frame(unit: Unit, timestamp: int, payloads: list[bytes]) -> Frame:
    return Frame(timestamp, unit.keyframe or unit.track == "audio", payloads, time.time_ns())


def _viewer(kernel: Kernel, fd: int, port: int, video: Stream, audio: Stream) -> Any:
    keys = SrtpKeys(SrtpProfile.AEAD_AES_128_GCM, bytes(16), bytes(12), bytes(16), bytes(12))
    tracks = [
        RtpTrack("video", 90_000, VIDEO, 2 * port, 1, 0, None, 1, 1),
        RtpTrack("audio", 48_000, AUDIO, 2 * port + 1, 1, 0, None, 2, 1),
    ]
    viewer = kernel.add_viewer(keys, Path(fd, ("127.0.0.1", port)), tracks, cname="floor")
    viewer.attach("video", video)
    viewer.attach("audio", audio)
    return viewer


def main() -> int:
    parser = argparse.ArgumentParser(description="The sending half; reads ports from stdin.")
    parser.add_argument("--core", type=int, action="append", help="run on this core only")
    given = parser.parse_args()
    if given.core:
        os.sched_setaffinity(0, given.core)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, DESCRIPTORS), hard))
    send(json.loads(sys.stdin.readline()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
