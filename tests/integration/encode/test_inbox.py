"""What a child does with what it holds when its parent sends no more."""

import subprocess
import sys

import pytest

from hotpath.encode.job import Job
from hotpath.encode.records import pack
from hotpath.media.unit import VIDEO, Codec
from tests.support.coded import coded

pytestmark = pytest.mark.integration

CHILD = """
import sys, time
from hotpath.encode import inbox as module
from hotpath.encode.job import Job
from hotpath.encode.records import Reader
from hotpath.media.unit import Unit
module.GRACE_S = 0.5
inbox = module.Inbox(sys.stdin.fileno(), Reader().receive, Job, Unit)
inbox.wait_job()
taken = 0
while taken != int(sys.argv[1]) and inbox.take() is not None:
    time.sleep(0.2)  # a slow codec
    taken += 1
while taken == int(sys.argv[1]):
    time.sleep(1)  # one that hangs
inbox.done.set()
print(taken)
"""
UNITS = 12
"""More than `GRACE_S` of a slow codec's work, and each of them less."""


def child(hangs_after: int) -> "subprocess.CompletedProcess[bytes]":
    source = coded("h264", None, 1, 30)
    job = Job(source.format(VIDEO), Codec.H264, 90_000, 90_000)
    units = source.track(VIDEO)[:UNITS]
    given = b"".join(pack(each) for each in (job, *units))
    command = [sys.executable, "-c", CHILD, str(hangs_after)]
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)


def test_a_slow_codec_may_finish_what_it_holds() -> None:
    done = child(hangs_after=-1)
    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) == UNITS


def test_a_codec_that_hangs_does_not_keep_the_child() -> None:
    done = child(hangs_after=3)
    assert (done.returncode, done.stdout) == (1, b"")
