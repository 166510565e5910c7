import pytest

from infra.supervisor.probe import HttpProbe, Prober, ValkeyProbe, why_not_ready


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('{"ready": false, "checks": {"bus": "gone", "disk": "ok"}}', "bus: gone"),
        ('{"checks": {"a": "x", "b": "y"}}', "a: x; b: y"),
        ("<html>", "answers with status 503"),
        ("[]", "answers with status 503"),
        ('{"checks": {}}', "answers with status 503"),
    ],
)
def test_a_readiness_body_in_words(body: str, words: str) -> None:
    assert why_not_ready(503, body) == words


async def test_nobody_listening_is_not_ready() -> None:
    prober = Prober()
    try:
        assert await prober.check(HttpProbe("http://127.0.0.1:1/readyz")) == "does not answer yet"
        assert await prober.check(ValkeyProbe("127.0.0.1", 1)) == "does not answer yet"
    finally:
        await prober.close()
