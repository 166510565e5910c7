"""Schedule an event, and print where the encoder connects and where people watch.

LIVEPATH_API_URL=http://127.0.0.1:8080 LIVEPATH_API_KEY=lp_… python schedule_event.py Launch
"""

import os
import sys
from datetime import UTC, datetime, timedelta

from infra.client import Client


def main(name: str) -> None:
    with Client(os.environ["LIVEPATH_API_URL"], os.environ["LIVEPATH_API_KEY"]) as client:
        starts_at = datetime.now(UTC) + timedelta(hours=1)
        event = client.events.create(
            name,
            starts_at=starts_at,
            ends_at=starts_at + timedelta(hours=2),
            time_zone="Europe/Vienna",
            access="token",
            renditions=["720p", "audio-only"],
        )
        token = client.events.create_token(event.id, ttl_s=4 * 3600, subject="first viewer")
        print("event:       ", event.id)
        print("starts:      ", event.starts_at_local)
        # Keys that may only read events see no stream keys.
        if event.ingest.srt and event.ingest.whip:
            print("encoder, SRT:", event.ingest.srt.url)
            print("from browser:", event.ingest.whip.publish_url)
        print("watch:       ", token.player_url)


if __name__ == "__main__":
    main(sys.argv[1])
