"""How long joins take, as a histogram: from the POST to connected and to the first picture sent."""

from prometheus_client import Histogram

_BUCKETS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
_SECONDS = Histogram(
    "livepath_webrtc_join_seconds",
    "Time from a viewer's POST until it is connected, and until its first picture was sent, s.",
    ["until"],
    buckets=_BUCKETS,
)
_CONNECTED = _SECONDS.labels("connected")
_PICTURE = _SECONDS.labels("picture")


def observe_join(posted_ns: int, connected_ns: int | None, sent_ns: int) -> None:
    if connected_ns is not None:
        _CONNECTED.observe((connected_ns - posted_ns) / 1e9)
    _PICTURE.observe((sent_ns - posted_ns) / 1e9)
