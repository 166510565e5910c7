"""A stamped programme: H.264 whose every frame carries the wall clock of its departure.

    python -m benchmarks.stamped srt://127.0.0.1:PORT?streamid=...&passphrase=...  [--seconds N]

Invariant: the digits behind `MARK` in a frame's SEI are the Unix time in µs at which the frame's
first byte was handed to the transport. `programme` encodes once into a cache folder (720p30,
2.3 Mbit/s, zero-latency baseline, one key frame a second, AAC or Opus); `Publisher` sends it in
real time, over and over, with continuous timestamps. A reader subtracts the stamp from its clock.
"""

import argparse
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import av
import av.bitstream
import imageio_ffmpeg

MARK = b"livepath-clock-1"  # the 16 bytes of a user_data_unregistered SEI's uuid; no zeros in it
DIGITS = 17
PACKET = 188
MESSAGE = 7 * PACKET
CACHE = Path(tempfile.gettempdir()) / "livepath-benchmarks"
_WRAP = 1 << 33


@dataclass(frozen=True, slots=True)
class Recipe:
    size: str = "1280x720"
    fps: int = 30
    kbps: int = 2300
    gop: int = 30
    seconds: int = 16
    """A multiple of 8 s is a whole number of AAC frames, so the loop has no seam."""
    audio: Literal["aac", "libopus"] = "aac"
    b_frames: int = 0

    @property
    def name(self) -> str:
        extra = f"-b{self.b_frames}" if self.b_frames else ""
        return f"stamped-{self.size}-{self.fps}-{self.kbps}-{self.gop}-{self.audio}{extra}.ts"


def sei(microseconds: int) -> bytes:
    """A NAL unit with the stamp; ASCII digits need no emulation prevention."""
    payload = MARK + b"%0*d" % (DIGITS, microseconds)
    return b"\x00\x00\x00\x01\x06\x05" + bytes([len(payload)]) + payload + b"\x80"


def stamp_of(data: bytes) -> int | None:
    """The stamp in a frame (or any part of one that holds the whole SEI), in µs."""
    at = data.find(MARK)
    digits = data[at + len(MARK) : at + len(MARK) + DIGITS] if at >= 0 else b""
    return int(digits) if len(digits) == DIGITS and digits.isdigit() else None


def programme(recipe: Recipe = Recipe(), cache: Path = CACHE) -> Path:
    """The transport stream with empty stamps; encoded unless it is there."""
    path = cache / recipe.name
    if path.exists():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        plain, stamped = Path(folder) / "plain.mp4", Path(folder) / "stamped.ts"
        subprocess.run(_encoding(recipe, plain), check=True)
        _insert(plain, stamped, recipe.seconds)
        stamped.replace(path)
    return path


def _encoding(recipe: Recipe, path: Path) -> list[str]:
    picture = f"testsrc2=size={recipe.size}:rate={recipe.fps}:duration={recipe.seconds}"
    tone = f"sine=frequency=440:sample_rate=48000:duration={recipe.seconds}"
    rate = f"{recipe.kbps}k"
    profile = "main" if recipe.b_frames else "baseline"
    return [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y"),
        *("-f", "lavfi", "-i", f"{picture},noise=alls=12:allf=t", "-f", "lavfi", "-i", tone),
        *("-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency", "-threads", "1"),
        *("-profile:v", profile, "-bf", str(recipe.b_frames), "-pix_fmt", "yuv420p"),
        *("-g", str(recipe.gop), "-keyint_min", str(recipe.gop), "-sc_threshold", "0"),
        *("-b:v", rate, "-maxrate", rate, "-bufsize", f"{recipe.kbps // 2}k"),
        *("-c:a", recipe.audio, "-b:a", "128k", "-ac", "2", str(path)),
    ]


def _insert(source: Path, target: Path, seconds: int) -> None:
    """Put an empty stamp before the first slice of every frame; cut audio to the loop's length."""
    with av.open(str(source)) as given, av.open(str(target), "w", format="mpegts") as made:
        made_of = {s.index: made.add_stream_from_template(s) for s in given.streams}
        video = given.streams.video[0]
        annex_b = av.bitstream.BitStreamFilterContext("h264_mp4toannexb", video)
        for packet in given.demux():
            if packet.dts is None or packet.pts is None:
                continue
            if packet.stream is not video and not 0 <= packet.pts * packet.time_base < seconds:
                continue
            for one in annex_b.filter(packet) if packet.stream is video else [packet]:
                index = one.stream.index if one.stream else packet.stream.index
                if packet.stream is video:
                    one = _with_stamp(one)  # noqa: PLW2901 - the packet in its final form
                one.stream = made_of[index]
                made.mux(one)


def _with_stamp(packet: "av.Packet[Any]") -> "av.Packet[Any]":
    data = bytes(packet)
    starts = [m.start() for m in re.finditer(rb"\x00\x00\x01", data)]
    out = b""
    stamped = False
    for at, following in zip(starts, [*starts[1:], len(data)], strict=True):
        kind = data[at + 3] & 31
        if kind == 6:  # x264's banner
            continue
        if kind in (1, 5) and not stamped:
            out, stamped = out + sei(0), True
        out += b"\x00" + data[at:following].rstrip(b"\x00")
    changed = av.Packet(out)
    changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
    changed.is_keyframe = packet.is_keyframe
    return changed


# -- sending -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Burst:
    """The packets from one PES start to the next: what leaves together."""

    dts: int
    begin: int
    end: int
    stamp: int | None
    times: tuple[tuple[str, int], ...]


def read_time(data: bytes | bytearray, at: int) -> int:
    """A 33-bit PTS or DTS (ISO/IEC 13818-1 2.4.3.6)."""
    high, middle, low = struct.unpack_from(">BHH", data, at)
    return int((high >> 1 & 7) << 30 | middle >> 1 << 15 | low >> 1)


def write_time(data: bytearray, at: int, value: int) -> None:
    value %= _WRAP
    high = (data[at] & 0xF1) | (value >> 30 & 7) << 1
    middle, low = (value >> 15 & 0x7FFF) << 1 | 1, (value & 0x7FFF) << 1 | 1
    struct.pack_into(">BHH", data, at, high, middle, low)


def _shift_clock(data: bytearray, at: int, ticks: int) -> None:
    """A PCR's base moves; its extension stays."""
    packed = int.from_bytes(data[at : at + 6], "big")
    base = ((packed >> 15) + ticks) % _WRAP
    data[at : at + 6] = (base << 15 | packed & 0x7FFF).to_bytes(6, "big")


def bursts(data: bytes) -> list[_Burst]:
    found: list[_Burst] = []
    for at in range(0, len(data), PACKET):
        control = data[at + 3]
        payload = at + 4
        times: list[tuple[str, int]] = []
        if control & 0x20:
            if data[payload] and data[payload + 1] & 0x10:
                times.append(("pcr", payload + 2))
            payload += 1 + data[payload]
        starts_pes = data[at + 1] & 0x40 and data[payload : payload + 3] == b"\x00\x00\x01"
        if not starts_pes:
            if found:
                last = found[-1]
                found[-1] = _Burst(
                    last.dts, last.begin, at + PACKET, last.stamp, (*last.times, *times)
                )
            continue
        times.append(("time", payload + 9))
        dts = read_time(data, payload + 9)
        if data[payload + 7] & 0x40:
            times.append(("time", payload + 14))
            dts = read_time(data, payload + 14)
        slot = data.find(MARK, payload, at + PACKET - DIGITS)
        begin = at if found else 0  # the tables before the first PES go with it
        found.append(
            _Burst(dts, begin, at + PACKET, slot + len(MARK) if slot >= 0 else None, tuple(times))
        )
    return found


class Stream:
    """The programme as an endless, stamped sequence of (seconds since the start, make bytes)."""

    def __init__(self, data: bytes, clock: Callable[[], int] = time.time_ns) -> None:
        self._data = data
        self._bursts = bursts(data)
        self._clock = clock
        self._continuity: dict[int, int] = {}
        frames = sorted(b.dts for b in self._bursts if b.stamp is not None)
        self._period = frames[-1] - frames[0] + round((frames[-1] - frames[0]) / (len(frames) - 1))
        self._first = self._bursts[0].dts

    def __iter__(self) -> Iterator[tuple[float, Callable[[], bytes]]]:
        offset = 0
        while True:
            for burst in self._bursts:
                due = (burst.dts - self._first + offset) / 90_000
                yield due, lambda burst=burst, offset=offset: self._made(burst, offset)  # type: ignore[misc]
            offset += self._period

    def _made(self, burst: _Burst, offset: int) -> bytes:
        out = bytearray(self._data[burst.begin : burst.end])
        for kind, absolute in burst.times:
            at = absolute - burst.begin
            if kind == "pcr":
                _shift_clock(out, at, offset)
            else:
                write_time(out, at, read_time(out, at) + offset)
        for at in range(0, len(out), PACKET):
            if out[at + 3] & 0x10:
                pid = (out[at + 1] & 31) << 8 | out[at + 2]
                count = self._continuity[pid] = (self._continuity.get(pid, -1) + 1) & 15
                out[at + 3] = out[at + 3] & 0xF0 | count
        if burst.stamp is not None:
            at = burst.stamp - burst.begin
            out[at : at + DIGITS] = b"%0*d" % (DIGITS, self._clock() // 1000)
        return bytes(out)


class _LiveTransmit:
    """libsrt's own tool, fed by datagrams: the least that can stand between bytes and libsrt."""

    def __init__(self, url: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        self._socket.connect(("127.0.0.1", port))
        self.process = subprocess.Popen(
            [
                *("srt-live-transmit", "-q", "-loglevel:fatal", "-chunk:1316"),
                *(f"udp://127.0.0.1:{port}?rcvbuf=4000000", live_transmit_url(url)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _until_bound(port, self.process)

    def send(self, message: bytes) -> None:
        with suppress(ConnectionRefusedError):  # of an earlier datagram, when the tool has ended
            self._socket.send(message)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._socket.close()


class _Ffmpeg:
    """Where there are no srt-tools."""

    def __init__(self, url: str) -> None:
        self.process = subprocess.Popen(
            [
                *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-fflags", "nobuffer"),
                *("-probesize", "32", "-f", "data", "-raw_packet_size", str(MESSAGE)),
                *("-i", "pipe:0", "-map", "0:0", "-c", "copy", "-flush_packets", "1"),
                *("-f", "data", url),
            ],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def send(self, message: bytes) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write(message)
            self.process.stdin.flush()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()


class Publisher:
    """Sends a programme over SRT on a thread of its own while the block lasts.

    URLs are as the API gives them to encoders, with libsrt's latency in µs as ffmpeg reads it; all
    get the same bytes at the same time.
    """

    def __init__(self, *urls: str, path: Path | None = None) -> None:
        self._urls = urls
        self._stream = Stream((path or programme()).read_bytes())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._sinks: list[_LiveTransmit | _Ffmpeg] = []

    def __enter__(self) -> Self:
        make = _LiveTransmit if shutil.which("srt-live-transmit") else _Ffmpeg
        for url in self._urls:
            self._sinks.append(make(url))
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        for sink in self._sinks:
            sink.close()

    @property
    def alive(self) -> bool:
        return all(sink.process.poll() is None for sink in self._sinks)

    def _run(self) -> None:
        started = time.monotonic()
        for due, made in self._stream:
            if self._stop.wait(max(0.0, started + due - time.monotonic())):
                return
            data = made()
            for at in range(0, len(data), MESSAGE):
                for sink in self._sinks:
                    sink.send(data[at : at + MESSAGE])


def live_transmit_url(url: str) -> str:
    """The same URL for libsrt's own tool, whose latency is in ms and who has no `pkt_size`."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    query.pop("pkt_size", None)
    if "latency" in query:
        query["latency"] = str(int(query["latency"]) // 1000)
    return parts._replace(query=urlencode(query, safe="/,=:#!")).geturl()


def _until_bound(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Datagrams sent before the tool has opened its port would be lost."""
    wanted = f":{port:04X} "
    deadline = time.monotonic() + 10
    while not any(wanted in line for line in Path("/proc/net/udp").read_text().splitlines()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"srt-live-transmit did not start: status {process.poll()}")
        time.sleep(0.01)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url", help="srt://HOST:PORT?streamid=...&passphrase=...&latency=µs")
    parser.add_argument("--seconds", type=float, default=0.0, help="stop after this long; 0: never")
    parser.add_argument("--audio", choices=("aac", "libopus"), default="aac")
    given = parser.parse_args()
    with Publisher(given.url, path=programme(Recipe(audio=given.audio))) as publisher:
        ends = time.monotonic() + (given.seconds or 1e9)
        while publisher.alive and time.monotonic() < ends:
            time.sleep(0.2)
        return 0 if publisher.alive else 1


if __name__ == "__main__":
    sys.exit(main())
