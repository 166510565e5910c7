"""In which order roles start and stop: pure functions over who needs whom.

Invariant: a role starts only after all it needs are up, and stops only after everything that needs
it, or that it must outlive, has stopped. The graph has no cycle; `stages` raises when it does.
"""

from collections.abc import Collection, Mapping

Graph = Mapping[str, Collection[str]]
"""Role → the roles it depends on. Roles that are not keys are somebody else's and always up."""


def stages(graph: Graph) -> list[list[str]]:
    """Roles in waves: each wave depends only on earlier ones; sorted by name within a wave."""
    left = {role: {need for need in needs if need in graph} for role, needs in graph.items()}
    waves: list[list[str]] = []
    while left:
        wave = sorted(role for role, needs in left.items() if not needs)
        if not wave:
            raise ValueError(f"roles need each other in a circle: {', '.join(sorted(left))}")
        waves.append(wave)
        left = {role: needs.difference(wave) for role, needs in left.items() if role not in wave}
    return waves


def dependents(graph: Graph, role: str) -> set[str]:
    """The roles that directly depend on `role`."""
    return {other for other, needs in graph.items() if role in needs}
