"""`livepath up`: a whole stack in the foreground."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from infra.errors import LivepathError


def up(
    *,
    data_dir: Annotated[
        Path,
        typer.Option(
            envvar="LIVEPATH_DATA_DIR", help="Folder for everything kept on disk; made if missing."
        ),
    ] = Path("livepath-data"),
    host: Annotated[
        str,
        typer.Option(
            help="Address that the API, playback, SRT and WebRTC listen on; 0.0.0.0 for all. "
            "Everything else stays on loopback."
        ),
    ] = "127.0.0.1",
    advertise: Annotated[
        str | None,
        typer.Option(
            help="Name or address by which clients reach this machine; fills every URL that the "
            "API returns, and WebRTC's candidates (LIVEPATH_WEBRTC_ADVERTISE if they differ). "
            "Default: HOST, or this machine's address when HOST is 0.0.0.0."
        ),
    ] = None,
    port_base: Annotated[
        int,
        typer.Option(
            help="The API and pages listen on this port N, playback on N+1, SRT on N+2 (UDP), S3 "
            "on N+8, WebRTC on N+9 (UDP and TCP), the rest up to N+31; 0 picks a free block."
        ),
    ] = 8080,
    tls: Annotated[
        bool,
        typer.Option(
            "--tls",
            help="Speak HTTPS with a self-signed certificate in DATA_DIR/tls. Browsers ask once "
            "for each of the two ports, and open cameras to other machines only like this.",
        ),
    ] = False,
    log_format: Annotated[
        Literal["console", "json"], typer.Option(help="Format of the logs in DATA_DIR/logs.")
    ] = "json",
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option(help="Least severe level.")
    ] = "info",
) -> None:
    """Start everything on this machine: Valkey, S3, control, media, uploader, dispatcher, worker.

    With the extra `captions`, or LIVEPATH_CAPTIONS=on, also a worker that transcribes what is said.

    Parts that die are started again. Ctrl-C stops all in order, a second Ctrl-C at once. To use
    servers of your own instead of the embedded ones, set LIVEPATH_BUS_URL, LIVEPATH_BROKER_URL,
    LIVEPATH_S3_URL or LIVEPATH_DATABASE_URL. Addresses are listed in DATA_DIR/endpoints.json,
    the development API key is in DATA_DIR/api-key.
    """
    # The supervisor's imports are heavy, and every command knows of this one.
    import asyncio

    from infra.cli.serving import serve
    from infra.supervisor.options import (
        WEBRTC_ADVERTISE,
        StackOptions,
        can_transcribe,
        external_from,
    )

    options = StackOptions(
        data_dir=data_dir,
        host=host,
        advertise=advertise,
        port_base=port_base,
        tls=tls,
        log_format=log_format,
        log_level=log_level,
        webrtc_advertise=os.environ.get(WEBRTC_ADVERTISE),
        captions=can_transcribe(os.environ),
        **external_from(os.environ),  # type: ignore[arg-type]
    )
    try:
        asyncio.run(serve(options))
    except LivepathError as error:
        typer.echo(f"livepath up: {error}", err=True)
        raise typer.Exit(1) from None
