"""`python -m edge`: Varnish in front of a running origin, in the foreground, until Ctrl-C.

LIVEPATH_EDGE_SECRET=... livepath up
LIVEPATH_EDGE_SECRET=... python -m edge --origin http://127.0.0.1:8081 --port 8090
"""

import argparse
import http.client
import os
import re
import signal
import sys
from types import FrameType

from edge.varnish import EdgeError, Origin, Varnish

VARIABLE = "LIVEPATH_EDGE_SECRET"
SECRET = re.compile(r"[A-Za-z0-9_-]{16,128}")
PATIENCE_S = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m edge", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--origin", default="http://127.0.0.1:8081", help="the media port's URL")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8090, help="port to listen on; 0: a free one")
    parser.add_argument("--memory-mb", type=int, default=256, help="size of the cache")
    given = parser.parse_args()
    try:
        origin = Origin(given.origin, _secret())
        ask(origin)
        with Varnish(
            origin, host=given.host, port=given.port, memory_mb=given.memory_mb
        ) as varnish:
            sys.stdout.write(f"edge: {varnish.url} in front of {origin.url}; Ctrl-C stops it\n")
            sys.stdout.flush()
            return _serve(varnish)
    except EdgeError as error:
        sys.stderr.write(f"edge: {error}\n")
        return 2


def _secret() -> str:
    secret = os.environ.get(VARIABLE, "")
    if not SECRET.fullmatch(secret):
        raise EdgeError(
            f"set {VARIABLE} to what the origin has: 16 to 128 letters, digits, `-` and `_`"
        )
    return secret


def ask(origin: Origin) -> None:
    """Whether the origin takes this edge for one; raises `EdgeError` where it does not."""
    connection = http.client.HTTPConnection(*origin.address, timeout=PATIENCE_S)
    try:
        connection.request("GET", "/edge/check", headers={"X-Livepath-Edge": origin.secret})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise EdgeError(
            f"no origin answers plain HTTP at {origin.url} ({error}); "
            f"start one: {VARIABLE}=... livepath up"
        ) from error
    finally:
        connection.close()
    if status == 403:
        raise EdgeError(f"the origin at {origin.url} has another {VARIABLE}")
    if status != 204:
        raise EdgeError(f"{origin.url} knows no edges: start the origin with {VARIABLE} set, too")


def _serve(varnish: Varnish) -> int:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        status = varnish.wait()
    except KeyboardInterrupt:
        return 0
    raise EdgeError(f"varnishd ended with status {status}:\n{varnish.log()}")


if __name__ == "__main__":
    sys.exit(main())
