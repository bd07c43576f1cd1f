"""Names of event types: which names of producers stand for which counted type, and which look as if they should."""

import re
from collections.abc import Collection, Mapping

from game_analytics.rules.events import COUNTED_TYPES, TYPE_NAMES

_WORD_BEFORE = r"(?:.*(?:[^A-Za-z0-9]|[a-z0-9](?=[A-Z])))?"
"""A prefix that ends at a word's border: ``EVENT_TYPE_``, ``game.``, ``Player`` of ``PlayerKill``; not ``S`` of
``SKILL``."""


def type_names(kill: Collection[str], death: Collection[str]) -> Mapping[str, str]:
    """From a producer's name to the counted type: `TYPE_NAMES` and these further names.

    Raises ValueError naming a name that would stand for both.
    """
    names = {**dict.fromkeys(kill, "KILL"), **dict.fromkeys(death, "DEATH"), **TYPE_NAMES}
    for counted, given in (("KILL", kill), ("DEATH", death)):
        for name in given:
            if names[name] != counted:
                raise ValueError(f"{name!r} would stand for KILL and for DEATH")
    return names


def resembled_type(name: str, counted: Collection[str] = COUNTED_TYPES) -> str | None:
    """The counted type that an ignored name differs from only by case, by blanks around it or by a prefix; else
    None."""
    for each in counted:
        if re.fullmatch(f"{_WORD_BEFORE}(?i:{re.escape(each)})", name.strip(), re.DOTALL):
            return each
    return None
