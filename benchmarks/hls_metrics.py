"""What the origin has counted, from its `/metrics`."""

import re

from benchmarks.signalling import request


def origin_requests(origin: str) -> int:
    """Playlists and media that the origin at this base URL has answered."""
    return total(_metrics(origin), "livepath_hls_requests", 'kind="(?:playlist|media)"')


def edge_checks(origin: str) -> int:
    """Questions of edges whether a viewer may watch that it has answered."""
    return total(_metrics(origin), "livepath_edge_checks")


def total(text: str, counter: str, labels: str = "") -> int:
    """The sum over all series of a counter whose labels match; 0: it has not counted yet."""
    pattern = rf"^{counter}_total\{{[^}}]*{labels}[^}}]*\}} ([0-9.e+]+)$"
    return round(sum(float(n) for n in re.findall(pattern, text, re.MULTILINE)))


def _metrics(origin: str) -> str:
    status, _, body = request("GET", f"{origin}/metrics")
    if status != 200:
        raise RuntimeError(f"no metrics: status {status}")
    return body
