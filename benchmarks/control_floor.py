"""The floor under the control API: FastAPI with one route that answers what it was told to.

    python -m benchmarks.control_floor PORT FILE

No database, no key, no limits, no models: the same server with the same settings, and the bytes of
a real answer, read from a file once.
"""

import socket
import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request, Response

READ, ISSUE = "/read", "/issue"


def app_of(body: bytes) -> FastAPI:
    app = FastAPI(openapi_url=None)

    @app.get(READ)
    async def read() -> Response:
        return Response(body, media_type="application/json")

    @app.post(ISSUE)
    async def issue(request: Request) -> Response:
        await request.body()
        return Response(body, 201, media_type="application/json")

    return app


def main() -> int:
    port, file = int(sys.argv[1]), Path(sys.argv[2])
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listener:
        config = uvicorn.Config(
            app_of(file.read_bytes()), log_config=None, access_log=False, lifespan="off"
        )
        uvicorn.Server(config).run([listener])
    return 0


if __name__ == "__main__":
    sys.exit(main())
