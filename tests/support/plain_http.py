"""Clients of plain HTTP, of which tests make many."""

import ssl

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For `verify`: it trusts nobody. httpx2's own context reads every root certificate of the machine,
which takes 40 ms of CPU for each client and each bare `httpx2.get`."""
