"""Receivers that hang, hang up, speak nonsense, or are not to be spoken to."""

import asyncio
from collections import Counter
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext, create_default_context

import pytest

from infra.outbox.catalogue import NoticeType
from infra.webhooks.guard import Allowed, Guard
from infra.webhooks.sending import EXCERPT_BYTES, Sender
from tests.integration.infra.webhooks.conftest import LOOPBACK, Outbox
from tests.support.certificates import certified
from tests.support.processes import until
from tests.support.receiver import OK, Received, Receiver, answer
from tests.support.valkey import free_port

pytestmark = pytest.mark.integration
LIVE, ENDED = NoticeType.EVENT_LIVE, NoticeType.EVENT_ENDED


async def test_an_answer_that_does_not_end_is_an_answer_all_the_same(
    outbox: Outbox, receiver: Receiver
) -> None:
    receiver.always(b"HTTP/1.1 200 X\r\nContent-Length: 9999999\r\n\r\n" + b"a" * 5_000)
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching():
        await outbox.settled("delivered")
    assert outbox.attempts()[0].excerpt == "a" * EXCERPT_BYTES


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (answer(302, Location="http://127.0.0.1:1/"), "redirects are not followed"),
        (answer(404), "answered 404"),
        (b"HTTP/9.9 nonsense\r\n\r\n", "Protocol"),
        (b"", "Error"),
    ],
)
async def test_what_is_no_success_is_told(
    outbox: Outbox, receiver: Receiver, reply: bytes, told: str
) -> None:
    receiver.always(reply)
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching():
        await outbox.settled("pending")
    assert told in (outbox.attempts()[0].error or "")
    assert len(receiver.received) == 1


async def test_a_receiver_that_hangs_costs_its_own_time_only(
    outbox: Outbox, receiver: Receiver
) -> None:
    stuck = asyncio.Event()
    most: Counter[str] = Counter()

    async def hang(_request: Received) -> bytes:
        most["now"] += 1
        most["most"] = max(most["most"], most["now"])
        await stuck.wait()
        return OK

    receiver.answers = hang
    await outbox.hook(receiver.url, name="wh_slow")
    async with Receiver() as quick:
        await outbox.hook(quick.url, name="wh_quick")
        await outbox.note(*[LIVE] * 12)
        async with outbox.dispatching(per_endpoint=3):
            await until("the quick one has all", lambda: len(quick.received) == 12)
            assert most["most"] == 3
            stuck.set()
            await outbox.settled(*["delivered"] * 24)


async def test_no_answer_in_time_is_a_failure(outbox: Outbox, receiver: Receiver) -> None:
    stuck = asyncio.Event()

    async def hang(_request: Received) -> bytes:
        await stuck.wait()
        return OK

    receiver.answers = hang
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching(timeout_s=0.1):
        await outbox.settled("pending")
    assert outbox.attempts()[0].error == "no answer within 0.1 s"
    stuck.set()


async def test_an_inner_address_is_refused_at_every_delivery(
    outbox: Outbox, receiver: Receiver
) -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]
    guard = Guard(Allowed(http=True, private=False), lambda _host, _port: answers.pop(0))
    await outbox.hook(f"http://rebinding.example:{receiver.port}/hook")
    await outbox.note(LIVE)
    async with outbox.dispatching(guard):
        await outbox.settled("pending")
    assert "loopback" in (outbox.attempts()[0].error or "")
    assert receiver.received == []


async def test_a_port_that_nobody_listens_on(outbox: Outbox) -> None:
    await outbox.hook(f"http://127.0.0.1:{free_port()}/hook")
    await outbox.note(LIVE)
    async with outbox.dispatching():
        await outbox.settled("pending")
    assert "ConnectError" in (outbox.attempts()[0].error or "")


async def test_what_breaks_the_client_is_a_failure_like_another(
    outbox: Outbox, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def burst(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(Sender, "_exchange", burst)
    await outbox.hook(receiver.url)
    await outbox.note(LIVE)
    async with outbox.dispatching():
        await outbox.settled("pending")
    assert outbox.attempts()[0].error == "the answer could not be read"


async def test_the_certificate_must_be_that_of_the_name(outbox: Outbox, tmp_path: Path) -> None:
    certificate = certified(tmp_path, "hooks.example")
    asked: list[str | None] = []
    serving = SSLContext(PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*certificate)
    serving.sni_callback = lambda _socket, name, _context: asked.append(name)
    trusted = create_default_context(cafile=str(certificate[0]))
    guard = Guard(LOOPBACK, lambda _host, _port: ["127.0.0.1"])
    async with Receiver(serving) as receiver:
        await outbox.hook(f"https://hooks.example:{receiver.port}/", "event.live")
        await outbox.hook(f"https://other.example:{receiver.port}/", "event.ended", name="wh_2")
        await outbox.note(LIVE, ENDED)
        async with outbox.dispatching(guard, trusted=trusted):
            await outbox.settled("delivered", "pending")
        assert sorted(filter(None, asked)) == ["hooks.example", "other.example"]
        assert [got.headers["host"] for got in receiver.received] == [
            f"hooks.example:{receiver.port}"
        ]
    assert "certificate" in (outbox.attempts()[-1].error or outbox.attempts()[0].error or "")


async def test_the_name_stays_in_host_when_the_connection_goes_to_its_address(
    outbox: Outbox, receiver: Receiver
) -> None:
    guard = Guard(LOOPBACK, lambda _host, _port: ["127.0.0.1"])
    await outbox.hook(f"http://hooks.example:{receiver.port}/in?x=1")
    await outbox.note(LIVE)
    async with outbox.dispatching(guard):
        await outbox.settled("delivered")
    [got] = receiver.received
    assert (got.path, got.headers["host"]) == ("/in?x=1", f"hooks.example:{receiver.port}")
