"""Every rule, in the order of the sections.

A module holds the rules of a section: pure functions of an observation.
"""

from collections.abc import Sequence
from types import ModuleType

from conformance.rule import Rule
from conformance.rules import (
    appendix_b_1,
    section_4_4_1,
    section_4_4_3,
    section_4_4_4,
    section_4_4_5,
    section_4_4_6,
    section_6_2_1,
    section_6_2_2,
    section_6_2_4,
    section_6_2_5,
    section_6_2_6,
)

_MODULES: Sequence[ModuleType] = (
    section_4_4_1,
    section_4_4_3,
    section_4_4_4,
    section_4_4_5,
    section_4_4_6,
    section_6_2_1,
    section_6_2_2,
    section_6_2_4,
    section_6_2_5,
    section_6_2_6,
    appendix_b_1,
)

RULES: Sequence[Rule] = tuple(
    rule for module in _MODULES for rule in vars(module).values() if isinstance(rule, Rule)
)
