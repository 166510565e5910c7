"""Who outlives whom: any order of ends, no leak, no crash."""

import gc
import random
import threading
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path as File

import pytest

from hotpath.fanout.kernel import Kernel, KernelError, Stream, Viewer
from hotpath.webrtc.srtp import SrtpProfile
from tests.support.kernel import (
    CM,
    GCM,
    VIDEO,
    FarEnd,
    far_end,
    frame,
    narrow_end,
    obeyed,
    push,
    sound,
    wait_until,
)


def _resident() -> int:
    return int(File("/proc/self/statm").read_text().split()[1]) * 4096


def _descriptors() -> int:
    return len(list(File("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("profile", [GCM, CM])
def test_thousands_of_viewers_leave_nothing_behind(profile: SrtpProfile) -> None:
    with Kernel(shards=2) as kernel, far_end(profile) as far, narrow_end() as narrow:
        stream, audio = kernel.stream(90_000, video=True), kernel.stream(48_000, video=False)
        push(stream, frame(0))

        def come_and_go(count: int) -> int:
            for number in range(count):
                end = narrow if number % 10 == 0 else far
                viewer = end.join(kernel)
                viewer.attach("video", stream)
                viewer.attach("audio", audio)
                viewer.nack(VIDEO.ssrc, [65_530])
                viewer.close(bye=number % 2 == 0)
                if number % 200 == 0:
                    obeyed(kernel)
            obeyed(kernel)
            gc.collect()
            return _resident()

        before = come_and_go(1000)
        descriptors = _descriptors()
        after = come_and_go(4000)
        assert kernel.totals().viewers == 0
        assert _descriptors() == descriptors
    assert after - before < 2_000_000


def test_a_viewer_takes_little_memory() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        stream = kernel.stream(90_000, video=True)
        push(stream, frame(0))
        far.join(kernel).attach("video", stream)
        obeyed(kernel)
        kept: list[Viewer] = []
        before = _resident()
        for _ in range(2000):
            kept.append(far.join(kernel))
            kept[-1].attach("video", stream)
        obeyed(kernel)
        assert (_resident() - before) / 2000 < 12_000  # Python's objects included


def test_the_kernel_closes_with_everything_alive() -> None:
    kernel = Kernel(shards=2)
    with far_end() as far, narrow_end() as narrow:
        stream = kernel.stream(90_000, video=True)
        viewers = [end.join(kernel) for end in (far, narrow)]
        for viewer in viewers:
            viewer.attach("video", stream, start="live")
        obeyed(kernel)
        for number in range(5):
            push(stream, frame(number, 100), deadline_ms=60_000)
        kernel.close()
        kernel.close()
        push(stream, frame(6))  # nobody's any more, but no crash
        for viewer in viewers:
            viewer.attach("video", stream)
            viewer.nack(VIDEO.ssrc, [1])
            viewer.send_rtcp(b"\x80\xc9\x00\x01\x00\x00\x00\x01")
            viewer.stats()
            viewer.close()
        with pytest.raises(KernelError, match="closed"):
            far.join(kernel)
        with pytest.raises(KernelError, match="closed"):
            kernel.stream(90_000, video=True)
        assert kernel.totals().viewers == 0
    del kernel
    gc.collect()
    stream.close()
    assert viewers[0].stats().packets > 0


def test_a_forgotten_viewer_is_closed() -> None:
    with Kernel(shards=1) as kernel, far_end() as far:
        kernel.add_viewer(far.keys, far.path, [VIDEO], cname="livepath")
        gc.collect()
        wait_until(lambda: kernel.totals().viewers == 0)


class Storm:
    """Random commands on random viewers while frames are pushed."""

    def __init__(self, kernel: Kernel, seed: int, ends: list[FarEnd]) -> None:
        self._random = random.Random(seed)
        self._kernel = kernel
        self._ends = ends
        self._viewers: list[Viewer] = []
        self._streams = [self._stream() for _ in range(3)]
        self._numbers = 0

    def _stream(self) -> Stream:
        return self._kernel.stream(90_000, video=True, max_frames=20)

    def step(self) -> None:
        draw = self._random
        if draw.random() < 0.5:
            self._push(draw.choice(self._streams))
            return
        if len(self._viewers) < 3 or draw.random() < 0.05:
            self._viewers.append(self._join())
            return
        viewer, stream = draw.choice(self._viewers), draw.choice(self._streams)
        match draw.randrange(9):
            case 0 | 1:
                viewer.attach("video", stream, start=draw.choice(["keyframe", "live"]))
            case 2 | 3:
                viewer.switch(stream)
            case 4:
                viewer.detach("video")
            case 5:
                viewer.resend_keyframe()
            case 6:
                sequences = [draw.randrange(65_536) for _ in range(draw.randrange(40))]
                viewer.nack(VIDEO.ssrc, sequences + [(65_530 + i) % 65_536 for i in range(60)])
            case 7:
                viewer.set_path(draw.choice(self._ends).path)
            case _:
                self._end(viewer, stream)

    def _push(self, stream: Stream) -> None:
        self._numbers += 1
        with suppress(KernelError):
            stream.push(
                frame(self._numbers, self._random.randrange(1, 30), key=self._numbers % 4 == 0),
                deadline_ms=self._random.choice([1, 5, 250]),
            )

    def _join(self) -> Viewer:
        track = replace(VIDEO, first_sequence=self._random.randrange(65_536))
        return self._random.choice(self._ends).join(self._kernel, track)

    def _end(self, viewer: Viewer, stream: Stream) -> None:
        if self._random.random() < 0.3:
            stream.close()
            self._streams[self._streams.index(stream)] = self._stream()
        viewer.close(bye=self._random.random() < 0.5)
        self._viewers.remove(viewer)


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_commands_is_survived(seed: int) -> None:
    with ExitStack() as stack, Kernel(shards=2) as kernel:
        wide = [stack.enter_context(far_end()) for _ in range(2)]
        tight = [stack.enter_context(narrow_end()) for _ in range(2)]
        storms = [Storm(kernel, 10 * seed + i, wide + tight) for i in range(2)]

        def rage(storm: Storm) -> None:
            for _ in range(3000):
                storm.step()

        threads = [threading.Thread(target=rage, args=(storm,)) for storm in storms]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for end in tight:  # now and then a full socket has room
                end.socket.settimeout(0.002)
                with suppress(TimeoutError):
                    end.socket.recv(2048)
        obeyed(kernel)
        stream, audio = kernel.stream(90_000, video=True), kernel.stream(48_000, video=False)
        fresh = stack.enter_context(far_end())
        viewer = fresh.join(kernel)  # it still works
        viewer.attach("video", stream, start="live")
        viewer.attach("audio", audio)
        obeyed(kernel)
        push(stream, frame(0))
        push(audio, sound(0))
        assert len(fresh.take(4)) == 4
