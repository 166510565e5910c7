"""A client is made with what can be used, and says at once what cannot."""

import ssl

import pytest

from infra.client import AsyncClient, BadValue, Client, ClientError


@pytest.mark.parametrize("url", ["", "localhost:8080", "ftp://live.example", "live.example/api"])
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_an_address_has_a_scheme(kind: type[Client | AsyncClient], url: str) -> None:
    with pytest.raises(BadValue, match="begins with http"):
        kind(url, "lp_key")


@pytest.mark.parametrize("key", ["", "lp_\n", "lp_ü"])
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_key_can_travel_in_a_header(kind: type[Client | AsyncClient], key: str) -> None:
    with pytest.raises(BadValue, match="the API key is empty"):
        kind("https://live.example", key)


def test_what_cannot_be_sent_is_an_error_of_the_package_and_a_value_error() -> None:
    assert issubclass(BadValue, ClientError)
    assert issubclass(BadValue, ValueError)


async def test_a_certificate_of_ones_own_is_trusted() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with Client("https://live.example", "lp_key", tls=tls):
        pass
    async with AsyncClient("https://live.example", "lp_key", tls=tls):
        pass
