"""Measures how loud each segment of sound is, while the programme is live.

An example of a function of your own: README.md explains it line by line.
"""

import io
import json
import logging

from coldpath.context import JobContext
from coldpath.errors import PermanentFailure, RetryLater
from coldpath.functions.registry import registry
from coldpath.records import JobResult
from infra.keys import InitKey, SegmentKey, WorkKey, parse

log = logging.getLogger(__name__)

SILENCE_DB = -120.0


def is_sound(key: SegmentKey) -> bool:
    """Sounds are the renditions `audio`, `audio-1` and so on."""
    return key.rendition == "audio" or key.rendition.startswith("audio-")


@registry.function("loudness", on=SegmentKey, when=is_sound, queue="fast", timeout_s=60)
def loudness(context: JobContext) -> JobResult:
    """How loud a segment is: mean and peak in dBFS, as JSON beside it."""
    segment = parse(context.lease.input_key)
    if not isinstance(segment, SegmentKey):
        raise PermanentFailure(f"{context.lease.input_key} is no segment")
    init = InitKey(segment.program, segment.incarnation, segment.rendition, 0)
    if context.store.head(str(init)) is None:
        raise RetryLater(f"{init} is not there yet")
    measured = measure(context.store.get(str(init)) + context.store.get(str(segment)))
    log.info("segment %d: %s", segment.msn, measured)
    name = f"{segment.rendition}-{segment.msn}.json"
    out = WorkKey(segment.program, segment.incarnation, "loudness", name)
    context.put(str(out), json.dumps(measured).encode(), "application/json")
    return JobResult({"keys": [str(out)], **measured})


def measure(media: bytes) -> dict[str, float]:
    """`mean_db` and `peak_db` of the first sound in a file."""
    # The dispatcher imports this module too, and has no use for these.
    import av
    import numpy as np

    try:
        with av.open(io.BytesIO(media), "r") as container:
            to_float = av.AudioResampler(format="fltp")
            frames = [f for coded in container.decode(audio=0) for f in to_float.resample(coded)]
    except (av.FFmpegError, IndexError) as error:
        raise PermanentFailure(f"the segment does not decode: {error}") from error
    if not frames:
        raise PermanentFailure("there is no sound in the segment")
    samples = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
    return {
        "mean_db": decibels(float(np.sqrt(np.mean(np.square(samples))))),
        "peak_db": decibels(float(np.max(np.abs(samples)))),
    }


def decibels(amplitude: float) -> float:
    """Of full scale, to a tenth."""
    from math import log10

    return round(max(SILENCE_DB, 20 * log10(amplitude)), 1) if amplitude > 0 else SILENCE_DB
