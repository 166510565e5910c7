"""Stock Firefox, driven headless over its own Marionette protocol: no geckodriver needed.

async with firefox() as browser:
    await browser.go(url)
    value = await browser.call("return document.title")
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

START_S = 60.0
PREFERENCES: Mapping[str, object] = {
    "media.autoplay.default": 0,
    # Addresses instead of names, which could not be resolved headless.
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    # Debian's Firefox decodes H.264 with the system's libavcodec, in WebRTC too if it is told so.
    "media.navigator.mediadatadecoder_h264_enabled": True,
    # Nothing is fetched from anywhere.
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "services.settings.server": "http://127.0.0.1:1/",
    "app.normandy.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
}


def executable() -> str | None:
    return shutil.which("firefox-esr") or shutil.which("firefox")


class ScriptFailed(Exception):
    """The page's script threw."""


class Browser:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._number = 0

    async def command(self, name: str, **parameters: Any) -> Any:
        self._number += 1
        message = json.dumps([0, self._number, name, parameters]).encode()
        self._writer.write(b"%d:%b" % (len(message), message))
        await self._writer.drain()
        _, _, error, result = await self.receive()
        if error is not None:
            raise ScriptFailed(f"{name}: {error['error']}: {error['message']}")
        return result

    async def receive(self) -> Any:
        size = (await self._reader.readuntil(b":"))[:-1]
        return json.loads(await self._reader.readexactly(int(size)))

    async def go(self, url: str) -> None:
        await self.command("WebDriver:Navigate", url=url)

    async def call(self, body: str, *arguments: Any) -> Any:
        """What the async function with this body returns."""
        script = (
            "const [args, done] = [[...arguments].slice(0, -1), arguments[arguments.length - 1]];"
            f"(async (...args) => {{ {body} }})(...args)"
            ".then(value => done({value}), error => done({error: String(error)}));"
        )
        answer = await self.command(
            "WebDriver:ExecuteAsyncScript", script=script, args=list(arguments), sandbox=None
        )
        if "error" in answer["value"]:
            raise ScriptFailed(answer["value"]["error"])
        return answer["value"].get("value")


def _profile(folder: Path, port: int) -> None:
    preferences = {**PREFERENCES, "marionette.port": port}
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in preferences.items()]
    (folder / "user.js").write_text("\n".join(lines) + "\n")
    # Firefox offers H.264 only where a plugin announces it, which it normally downloads; the one
    # announced here is never loaded, because the decoder is libavcodec (see PREFERENCES).
    plugin = folder / "gmp-gmpopenh264" / "1.0"
    plugin.mkdir(parents=True)
    (plugin / "gmpopenh264.info").write_text(
        "Name: gmpopenh264\nDescription: announces H.264\nVersion: 1.0\n"
        "APIs: encode-video[h264], decode-video[h264]\n"
    )
    (plugin / "libgmpopenh264.so").touch()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def firefox() -> AsyncIterator[Browser]:
    command, port = executable(), _free_port()
    assert command is not None, "no Firefox"
    with tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        _profile(folder, port)
        process = subprocess.Popen(
            [command, "--headless", "--marionette", "--no-remote", "--profile", name],
            env={
                **os.environ,
                "HOME": name,
                "MOZ_GMP_PATH": str(folder / "gmp-gmpopenh264" / "1.0"),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            reader, writer = await _connected(port)
            browser = Browser(reader, writer)
            await browser.receive()  # its greeting
            await browser.command("WebDriver:NewSession", capabilities={})
            await browser.command("WebDriver:SetTimeouts", script=60_000)
            yield browser
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def _connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(START_S):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
            except ConnectionError:
                await asyncio.sleep(0.1)
