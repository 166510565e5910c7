"""A stack that speaks TLS: control, pages and playback, and the probes between them."""

import ssl
from pathlib import Path

import httpx2
import pytest

from tests.support.stack import running_stack

pytestmark = pytest.mark.integration

ROLES = frozenset({"valkey-bus", "control", "media"})


async def test_api_pages_and_playback_speak_tls(tmp_path: Path) -> None:
    async with running_stack(tmp_path / "data", only=ROLES, tls=True) as stack:
        endpoints = stack.endpoints
        assert endpoints.control_url.startswith("https://")
        async with stack.client() as api:
            made = await api.post("/v1/events", json={"name": "First"})
            assert made.status_code == 201
            event = made.json()
            urls = [event["playback"]["hls_url"], event["playback"]["whep_url"]]
            assert all(url.startswith(endpoints.media_url + "/") for url in urls)
            assert endpoints.media_url.startswith("https://")
            page = await api.get(f"/watch/{event['id']}")
            assert page.status_code == 200
            assert (await api.get(endpoints.media_url + "/healthz")).status_code == 200

        await strangers_are_refused(endpoints.media_url, endpoints.certificate_file)


async def strangers_are_refused(url: str, certificate: str | None) -> None:
    async with httpx2.AsyncClient(trust_env=False) as stranger:
        with pytest.raises(httpx2.ConnectError, match="certificate"):
            await stranger.get(url + "/healthz")
    old = ssl.create_default_context(cafile=certificate)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with httpx2.AsyncClient(trust_env=False, verify=old) as client:
        assert (await client.get(url + "/healthz")).status_code == 200
