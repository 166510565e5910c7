"""`livepath webhooks` against an API on a real socket."""

import asyncio
import http.client
import json
import threading
import time
from pathlib import Path

import pytest

from infra.cli.receiver import Receiver
from infra.client.models import Message
from infra.db.webhooks import WebhookDelivery
from infra.webhooks import signing
from tests.integration.infra.cli.terminal import Process, Terminal
from tests.integration.infra.control.conftest import KEY, Deployment
from tests.integration.infra.control.rows import add_delivery

pytestmark = pytest.mark.integration
HOOK = "https://hooks.example/ours"


@pytest.fixture
def terminal(served: str, tmp_path: Path) -> Terminal:
    return Terminal("webhooks", served, KEY, tmp_path)


async def test_an_endpoint_is_made_changed_and_removed(terminal: Terminal) -> None:
    hook, secret = await terminal.lines(
        "create", HOOK, "--type", "event.*", "--description", "[ours]"
    )
    assert secret.startswith("whsec_")
    line = (await terminal.lines("ls"))[1]
    for words in (hook, HOOK, "event.*", "enabled", "[ours]"):
        assert words in line
    assert secret not in line
    changed = "\n".join(await terminal.lines("update", hook, "--disable", "--type", "*"))
    assert "disabled" in changed
    again, other = await terminal.lines("rotate-secret", hook, "--grace", "1h")
    assert (again, other != secret) == (hook, True)
    assert "old secret until" in "\n".join(await terminal.lines("show", hook))
    assert await terminal.lines("rm", hook) == [f"{hook}: removed"]
    gone = await terminal.run("show", hook)
    assert (gone.exit_code, "fix: " in gone.output) == (1, True)


async def test_deliveries_are_listed_and_made_once_more(
    terminal: Terminal, deployment: Deployment
) -> None:
    hook, _ = await terminal.lines("create", HOOK)
    delivery = add_delivery(deployment, hook)
    line = (await terminal.lines("deliveries", hook, "--state", "pending"))[1]
    assert line.split()[:2] == [delivery, "webhook.test"]
    shown = json.loads((await terminal.run("deliveries", hook, delivery, "--json")).output)
    assert shown["id"] == delivery
    assert "attempt" in "\n".join(await terminal.lines("deliveries", hook, delivery))
    with deployment.session() as session, session.begin():
        session.get_one(WebhookDelivery, delivery).state = "failed"
    (again,) = await terminal.lines("replay", hook, delivery)
    assert again.endswith(": pending")
    words = ("--since", "2030-03-17T00:00:00Z", "--until", "2030-03-18T00:00:00Z", "--json")
    assert json.loads((await terminal.run("replay", hook, *words)).output)["webhook"] == hook
    (tested,) = await terminal.lines("test", hook)
    assert tested.endswith(": pending")
    wrong = await terminal.run("replay", hook)
    assert (wrong.exit_code, "give one of both" in wrong.output) == (2, True)


async def test_a_listener_makes_an_endpoint_and_takes_it_with_it(
    served: str, terminal: Terminal
) -> None:
    async with asyncio.timeout(40):
        words = ("listen", "--url", HOOK, "--type", "event.*")
        listening = await Process.start(served, KEY, "webhooks", *words)
        assert listening.process.stderr is not None
        assert HOOK in (await listening.process.stderr.readline()).decode()
        (made,) = json.loads((await terminal.run("ls", "--json")).output)
        listening.process.terminate()
        status, _, said = await listening.end()
    assert (made["url"], made["types"]) == (HOOK, ["event.*"])
    assert (status, "Traceback" in said) == (143, False)
    assert json.loads((await terminal.run("ls", "--json")).output) == []
    refused = await terminal.run("listen")
    assert (refused.exit_code, "fix: " in refused.output) == (1, True)


def post(port: int, body: bytes, headers: dict[str, str]) -> int:
    """The status of the answer, which may come before the body was sent."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("POST", "/")
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_receiver_shows_what_is_signed_and_refuses_the_rest(
    capfd: pytest.CaptureFixture[str],
) -> None:
    secret, shown = signing.secret_of(b"s" * 32), []

    def show(message: Message) -> None:
        shown.append(message.type)

    body = b'{"type": "event.live"}'
    signed = dict(signing.headers([secret], "msg_1", int(time.time()), body))
    with Receiver(0) as receiver:
        serving = threading.Thread(target=receiver.serve, args=(secret, show), daemon=True)
        serving.start()
        try:
            good = post(receiver.port, body, signed)
            forged = post(receiver.port, body + b" ", signed)
            large = post(receiver.port, b"", {"Content-Length": "9999999"})
        finally:
            receiver.stop()
            serving.join(10)
    assert (good, forged, large) == (204, 400, 400)
    assert shown == ["event.live"]
    assert "refused: none of the signatures" in capfd.readouterr().err
