"""Real peers on a real media process. Each says what it lacks when it cannot run."""

import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.support.missing import missing
from tests.support.webrtc import Node, media_node, on_air

CHROMIUM_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/interop/" in str(item.path):
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node with the stamped programme on the air, by SRT with AAC."""
    with on_air(tmp_path_factory.mktemp("live") / "data") as node:
        yield node


@pytest.fixture
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that waits for a publisher."""
    with media_node(tmp_path_factory.mktemp("idle") / "data") as node:
        yield node


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running_chromium() -> AsyncIterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    async with async_playwright() as playwright:
        if path is None and not Path(playwright.chromium.executable_path).exists():
            pytest.skip(missing("Chromium"))
        browser = await playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def chromium(running_chromium: Browser) -> AsyncIterator[Browser]:
    """Without a page, and without one again afterwards."""
    yield running_chromium
    for context in running_chromium.contexts:
        await context.close()


class _Page(BaseHTTPRequestHandler):
    """A page of another origin than the node's that holds viewer.js and nothing else."""

    def do_GET(self) -> None:
        script = Path(__file__).with_name("viewer.js").read_text()
        body = f"<!doctype html><title>viewer</title><body><script>{script}</script>".encode()
        self.send_response(200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="session")
def viewer_page() -> Iterator[str]:
    """URL of a page with the global `watch(url)`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
