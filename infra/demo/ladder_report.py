"""The ladder's part of the demo's findings: JSON for machines, lines for people.

Upstream: `ladder`. Downstream: `report`.
"""

from typing import Any

from rich.console import Console

from infra.demo.ladder import SOURCE, LadderFindings


def ladder_json(ladder: LadderFindings) -> dict[str, Any]:
    """Every rendition that was listed, and the test of switching between them."""
    renditions = []
    for name, seen in ladder.renditions.items():
        alignment = ladder.alignment(name)
        renditions.append(
            {
                "name": name,
                "resolution": seen.variant.resolution,
                "bandwidth": seen.variant.bandwidth,
                "average_bandwidth": seen.variant.average_bandwidth,
                "segments": len(seen.segments),
                "gaps": seen.gaps,
                "aligned": alignment.aligned,
                "max_offset_ms": round(alignment.max_offset_ms, 3),
            }
        )
    switching = ladder.switching
    moved = ladder.moved
    return {
        "renditions": renditions,
        "trimmed": ladder.trimmed,
        "whep_moved": moved
        and {"from": moved.before, "to": moved.after, "seconds": round(moved.seconds, 2)},
        "switch_test": switching
        and {
            "ok": bool(switching.switches) and not switching.problems(),
            "path": list(switching.path),
            "switches": switching.switches,
            "frames": switching.pictures,
            "frames_decoded": switching.decoded,
            "max_discontinuity_ms": round(switching.max_discontinuity_ms, 3),
            "frames_out_of_step": switching.out_of_step,
            "gaps": switching.gaps,
        },
    }


def print_ladder(console: Console, ladder: LadderFindings) -> None:
    """A line for each rendition, and one for the switches."""
    for name, seen in ladder.renditions.items():
        found = ladder.alignment(name)
        beside = "" if name == SOURCE else ", aligned" if found.aligned else ", not aligned"
        gaps = f", {seen.gaps} with gaps" if seen.gaps else ""
        megabits = seen.variant.bandwidth / 1e6
        console.print(
            f"Ladder   {name}: {seen.variant.resolution}, {megabits:.2f} Mbit/s with sound, "
            f"{len(seen.segments)} segments{beside}{gaps}",
            highlight=False,
            soft_wrap=True,
        )
    if ladder.trimmed:
        console.print(f"Ladder   {ladder.trimmed}", highlight=False, soft_wrap=True)
    if moved := ladder.moved:
        console.print(
            f"Move     a WHEP viewer that reported loss went from {moved.before} to {moved.after} "
            f"after {moved.seconds:.1f} s",
            highlight=False,
            soft_wrap=True,
        )
    if switching := ladder.switching:
        console.print(
            f"Switch   {' → '.join(switching.path)}: {switching.decoded} of {switching.pictures} "
            f"frames decoded, discontinuity {switching.max_discontinuity_ms:.1f} ms at most, "
            f"{switching.out_of_step} frames out of step",
            highlight=False,
            soft_wrap=True,
        )
