"""The HTTP server: HTTP/2, TLS, the port, an ordered stop."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from granian.server.embed import Server

from hotpath.hls.origin import HlsOrigin
from hotpath.hls.server import HlsServer, ServerError, Tls
from tests.support.blocking import blocked
from tests.support.on_air import KEY, LIVE, on_air, running
from tests.support.plain_http import NO_TLS

pytestmark = pytest.mark.integration


async def test_http_2_is_spoken_on_the_same_port() -> None:
    async with on_air() as (_, client):
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        settings = b"\0\0\0\4\0\0\0\0\0"
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
        header = await reader.readexactly(9)
        assert header[3] == 4  # SETTINGS
        values = await reader.readexactly(int.from_bytes(header[:3], "big"))
        pairs = {
            int.from_bytes(values[at : at + 2], "big"): int.from_bytes(
                values[at + 2 : at + 6], "big"
            )
            for at in range(0, len(values), 6)
        }
        assert pairs[3] == 1000  # MAX_CONCURRENT_STREAMS
        writer.close()
        await writer.wait_closed()


async def test_a_port_that_is_taken_is_an_error_not_a_share() -> None:
    async with on_air() as (_, client):
        second = HlsServer(HlsOrigin(), "127.0.0.1", client.base_url.port or 0)
        with pytest.raises(ServerError, match="taken"):
            second.start()


async def test_stopping_answers_whoever_waits_and_frees_the_port() -> None:
    origin = HlsOrigin()
    origin.open(KEY, "k1", access="public", part_target_ms=215, target_duration_s=2)
    server = HlsServer(origin, "127.0.0.1", 0, before_stop=origin.stop)
    async with httpx2.AsyncClient(timeout=30, verify=NO_TLS) as client:
        async with running(server) as url:
            task = await blocked(origin, client.get(url + LIVE + "index.m3u8"))
        assert (await task).status_code == 503
        assert origin.waiting == 0
    again = HlsServer(origin, "127.0.0.1", server.port)
    async with running(again):
        assert again.port == server.port


async def test_a_server_that_stops_by_itself_is_an_error() -> None:
    class Watched(HlsServer):
        inner: Server

        def _server(self) -> Server:
            self.inner = super()._server()
            return self.inner

    server = Watched(HlsOrigin(), "127.0.0.1", 0)
    server.start()
    task = asyncio.create_task(server.run())
    await server.ready()
    server.inner.stop()
    with pytest.raises(ServerError, match="by itself"):
        await task


def self_signed(folder: Path) -> Tls:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    day = timedelta(days=1)
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, secret))
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    return Tls(folder / "certificate.pem", folder / "key.pem")


async def test_tls_is_1_2_or_newer_and_offers_http_2(tmp_path: Path) -> None:
    tls = self_signed(tmp_path)
    context = ssl.create_default_context(cafile=str(tls.certificate))
    context.check_hostname = False
    context.set_alpn_protocols(["h2", "http/1.1"])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    server = HlsServer(HlsOrigin(), "127.0.0.1", 0, tls=tls)
    async with running(server):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        secured = writer.get_extra_info("ssl_object")
        assert (secured.version(), secured.selected_alpn_protocol()) == ("TLSv1.2", "h2")
        writer.close()
        await writer.wait_closed()
