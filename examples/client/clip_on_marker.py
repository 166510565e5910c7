"""Keep what led to every goal: follow the stream, and when a `goal` marker comes, cut a clip.

    LIVEPATH_API_URL=… LIVEPATH_API_KEY=lp_… python clip_on_marker.py ev_…

The stream goes on by itself where the connection was lost, and misses nothing. Here it ends with
the event.
"""

import os
import sys
from datetime import datetime, timedelta

from infra.client import Client, ClientError

BEFORE = timedelta(seconds=15)


def main(event: str) -> None:
    with Client(os.environ["LIVEPATH_API_URL"], os.environ["LIVEPATH_API_KEY"]) as client:
        print("waiting for goals", flush=True)
        for message in client.stream(types=["marker.created", "event.ended"], event=event):
            if message.type == "event.ended":
                break
            if message.type == "marker.created" and message.data["kind"] == "goal":
                clip_goal(client, event, message.data)


def clip_goal(client: Client, event: str, marker: dict[str, str]) -> None:
    goal = datetime.fromisoformat(marker["start"])
    try:
        clip = client.clips.create(
            event,
            goal - BEFORE,
            goal,
            title=marker["title"] or "Goal",
            # A marker that is told of twice makes one clip.
            idempotency_key=f"goal-{marker['marker']}",
        )
    except ClientError as error:
        print("no clip:", error, flush=True)
        return
    print("clip:", clip.id, clip.start, clip.state, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
