"""What a rate limit says in headers, and who counts as one client."""

import pytest

from infra.control.limits import Limits, Quota, Verdict, network_of

QUOTA = Quota("key", 6000)


def test_headers_say_what_is_left() -> None:
    verdict = Verdict(QUOTA, allowed=True, remaining=5999, retry_ms=0, reset_ms=10)
    assert verdict.headers() == {
        "RateLimit-Policy": '"key";q=6000;w=60',
        "RateLimit": '"key";r=5999;t=1',
    }


@pytest.mark.parametrize(("retry_ms", "seconds"), [(0, "1"), (1, "1"), (1000, "1"), (1001, "2")])
def test_who_is_refused_hears_when_to_come_back(retry_ms: int, seconds: str) -> None:
    verdict = Verdict(QUOTA, allowed=False, remaining=0, retry_ms=retry_ms, reset_ms=60_000)
    assert verdict.headers()["Retry-After"] == seconds


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", "unknown"),
        ("testclient", "unknown"),
    ],
)
def test_an_address_is_one_client(ip: str, network: str) -> None:
    assert network_of(ip) == network


async def test_without_valkey_or_quota_nobody_counts() -> None:
    assert await Limits().take_key("key_1") is None
    assert await Limits(None, per_key=1).take_ip("203.0.113.7") is None
