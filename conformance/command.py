"""`livepath-conformance URL`: observe, judge, report.

Exit status: 0 no MUST broken, 1 a MUST broken, 2 could not run. Upstream: a person or a build.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from conformance.client import Client
from conformance.errors import ConformanceError
from conformance.observation import Observation
from conformance.observe import Observer
from conformance.report import as_json, exit_status, print_report
from conformance.rule import Rule, Verdict, judge_all, merged
from conformance.rules import RULES

COULD_NOT_RUN = 2
WIDTH = 140  # of the table, where there is no terminal


class Judging:
    """Verdicts over an observation that comes in stretches."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self.verdicts: list[Verdict] = []
        self.lag_s = 0.0

    def add(self, seen: Observation) -> None:
        new = judge_all(self._rules, seen)
        pairs = zip(self.verdicts, new, strict=True)
        self.verdicts = [merged(*pair) for pair in pairs] if self.verdicts else new
        self.lag_s = seen.lag_s


async def check(
    url: str,
    *,
    seconds: float,
    insecure: bool = False,
    until_end: bool = False,
    rules: Sequence[Rule] = RULES,
    console: Console | None = None,
) -> Judging:
    """Observe the URL and judge what was seen; raises `ConformanceError`."""
    judging = Judging(rules)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(),
        console=console or Console(stderr=True, quiet=True), transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task("observing", total=1.0)
        async with Client(insecure=insecure) as client:
            observer = Observer(
                client,
                url,
                seconds=seconds,
                until_end=until_end,
                judged=judging.add,
                progress=lambda done, words: bar.update(task, completed=done, description=words),
            )
            judging.add(await observer.run())
    return judging


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="livepath-conformance",
        description="Check a low-latency HLS server against draft-pantos-hls-rfc8216bis.",
        epilog="Exit status: 0 no MUST broken, 1 a MUST broken, 2 could not run.",
    )
    parser.add_argument("url", help="the multivariant playlist")
    parser.add_argument(
        "--seconds", type=float, default=40.0, help="how long to watch (default 40)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts there, too")
    parser.add_argument("--insecure", action="store_true", help="accept a self-signed certificate")
    parser.add_argument(
        "--until-end", action="store_true", help="wait for EXT-X-ENDLIST and check the rules of it"
    )
    parser.add_argument("--only", metavar="SECTION", help="rules of this section, such as 6.2.5")
    options = parser.parse_args(given)
    if not 1 <= options.seconds <= 86_400:
        parser.error("--seconds is between 1 and 86400")
    return options


def _chosen(section: str | None) -> Sequence[Rule]:
    if section is None:
        return RULES
    chosen = [
        one for one in RULES if one.id == section or f"{one.section}.".startswith(section + ".")
    ]
    if not chosen:
        known = sorted({one.section for one in RULES})
        raise ConformanceError(f"no rule of section {section}; there are {', '.join(known)}")
    return chosen


def main(given: Sequence[str] | None = None) -> int:
    options = _arguments(given)
    errors = Console(stderr=True)
    try:
        judging = asyncio.run(
            check(
                options.url,
                seconds=options.seconds,
                insecure=options.insecure,
                until_end=options.until_end,
                rules=_chosen(options.only),
                console=errors if errors.is_terminal else None,
            )
        )
        if options.json is not None:
            found = as_json(options.url, judging.verdicts, lag_s=judging.lag_s)
            options.json.write_text(json.dumps(found, indent=2) + "\n")
    except (ConformanceError, OSError) as error:
        sys.stderr.write(f"livepath-conformance: {error}\n")
        return COULD_NOT_RUN
    except KeyboardInterrupt:
        sys.stderr.write("livepath-conformance: interrupted\n")
        return COULD_NOT_RUN
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    print_report(console, options.url, judging.verdicts)
    return exit_status(judging.verdicts)
