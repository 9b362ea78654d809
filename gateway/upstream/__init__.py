"""Photoroom, over HTTP: the client, the reading of its answers, the keys and the account.

`client.PhotoroomClient` buys one edit with one key; `keyed.KeyedUpstream` (the port `Upstream`) finds
the key by its name; `account.AccountReader` (the port `AccountSource`) asks how many images are left. No aiohttp
exception and no time-out leaves this package: each becomes one of the errors of the domain.
"""

__all__: list[str] = []
