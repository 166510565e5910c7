"""Schedule a season from a CSV file; running it again the same day makes nothing twice.

    LIVEPATH_API_URL=… LIVEPATH_API_KEY=lp_… python bulk_schedule.py season.csv

The file has the columns id, name, starts_at, minutes and zone; times are those that clocks in the
zone show:

    id,name,starts_at,minutes,zone
    m1,Rapid - Sturm,2030-09-07 17:00,120,Europe/Vienna
"""

import asyncio
import csv
import os
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from infra.client import AsyncClient
from infra.client.models import Event

AT_ONCE = 8


async def main(file: Path) -> None:
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    url, key = os.environ["LIVEPATH_API_URL"], os.environ["LIVEPATH_API_KEY"]
    turns = asyncio.Semaphore(AT_ONCE)
    async with AsyncClient(url, key) as client, asyncio.TaskGroup() as group:

        async def one(row: Mapping[str, str]) -> Event:
            async with turns:
                return await schedule(client, row)

        made = [group.create_task(one(row)) for row in rows]
    for task in made:
        event = task.result()
        print(event.id, event.starts_at_local, event.name)


async def schedule(client: AsyncClient, row: Mapping[str, str]) -> Event:
    starts_at = datetime.fromisoformat(row["starts_at"]).replace(tzinfo=ZoneInfo(row["zone"]))
    return await client.events.create(
        row["name"],
        starts_at=starts_at,
        ends_at=starts_at + timedelta(minutes=int(row["minutes"])),
        time_zone=row["zone"],
        labels={"match": row["id"]},
        # The same row is the same event, for as long as keys are remembered (24 hours).
        idempotency_key=f"season-{row['id']}",
    )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
