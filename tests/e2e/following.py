"""An LL-HLS player of an event, as far as its playlists tell: blocking reloads of one rendition."""

import httpx2

from tests.support.m3u8 import Playlist, parse

TIMEOUT_S = 20.0


class Follower:
    """Of the first rendition that the event's multivariant playlist names."""

    def __init__(self, client: httpx2.AsyncClient, url: httpx2.URL) -> None:
        self._client = client
        self._url = url

    async def playlist(self) -> Playlist:
        """As it is."""
        return parse((await self._client.get(self._url)).raise_for_status().text)

    async def until_refused(self) -> int:
        """Plays on, part after part, as long as that is answered; the status that was the end."""
        answer = await self._client.get(self._url)
        while answer.status_code == 200:
            newest = parse(answer.text).open
            place = {"_HLS_msn": newest.msn, "_HLS_part": len(newest.parts)}
            answer = await self._client.get(self._url, params=place)
        return answer.status_code


async def followed(client: httpx2.AsyncClient, hls_url: str) -> Follower:
    answer = (await client.get(hls_url)).raise_for_status()
    rendition = next(line for line in answer.text.splitlines() if line and line[0] != "#")
    return Follower(client, httpx2.URL(hls_url).join(rendition))
