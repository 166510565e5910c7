"""Answers of a programme's playlists, awaited, without an origin or HTTP in between."""

import asyncio

from hotpath.hls.answers import Blocked
from hotpath.hls.live import LivePlaylists
from hotpath.hls.reply import Reply
from hotpath.hls.waiting import Outcome, Waiter


class _Waiting(Waiter):
    def __init__(self) -> None:
        super().__init__()
        self.outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    def resume(self, outcome: Outcome) -> None:
        self.outcome.set_result(outcome)


async def respond(live: LivePlaylists, name: str, query: str = "") -> Reply:
    """The reply to `GET {name}?{query}`, after as many waits as it needs."""
    answer = live.answer(name, query)
    while isinstance(answer, Blocked):
        waiter = _Waiting()
        assert answer.gate.wait(answer.key, answer.timeout_s, waiter)
        answer = live.answer(name, query, await waiter.outcome)
    return await live.files.find(name) if answer is None else answer
