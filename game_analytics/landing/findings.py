"""The findings of a landing's checks. A finding is a sentence; None if the check passes."""

from collections.abc import Mapping
from datetime import date

from game_analytics.landing.report import LandingReport, TypesSeen
from game_analytics.landing.tables import MOST_TYPES, beginning, most_ignored, most_missed
from game_analytics.rules.events import COUNTED_TYPES, EXPECTED
from game_analytics.rules.vocabulary import resembled_type
from game_analytics.rules.volume import much_quarantined, unusual_volume

NOTHING_MISSED = "nothing_missed"
HAS_EVENTS = "has_events"

DISPLACED_PERCENT = 1
"""Times without an offset, in percent, that may fall on another day than their message."""

MISSED_PERCENT = 1
"""Events of other days, in percent of those landed, above which a producer or a mirror may lag."""

_LANDED_BY_SENSOR = "the sensor late_events has these days landed with them, or has already"


def findings(
    landing: LandingReport, volumes: Mapping[date, int], *, volume_percent: int, quarantine_percent: int
) -> dict[str, str | None]:
    """The finding of each check of a landing, by the check's name.

    ``volumes``: landed events of the day, and of earlier days as far as they are known. ``volume_percent``: how much
    the day may differ from them. ``quarantine_percent``: how many messages may be unreadable.
    """
    manifest, own = landing.manifest, landing.own
    closes = f"{manifest.window.end:%Y-%m-%d %H:%M} UTC"
    too_early = f"landed before its window closed ({closes}): land it again then"
    types = landing.types
    return {
        "window_closed": None if manifest.window_closed else too_early,
        HAS_EVENTS: failure(landing) or (None if manifest.total()["landed"] else "no event was landed"),
        "both_types": None if types is None else _one_type_alone(types),
        "known_types": None if types is None else _resembling(types),
        "times_name_their_offset": None if types is None else _local_times(types.times),
        "usual_volume": unusual_volume(manifest.day, volumes, volume_percent / 100),
        "little_quarantined": much_quarantined(own["read"], own["quarantined"], quarantine_percent / 100),
        NOTHING_MISSED: _missed(landing),
        "log_goes_on": landing.lags,
        "read_as_planned": "; ".join([*landing.warnings, *landing.truncated]) or None,
    }


def failure(landing: LandingReport) -> str | None:
    """Why the run must fail though the day is landed, and stats and board stay: messages of the day were read, but none
    became an event. Else None."""
    day, total = landing.manifest.day, landing.manifest.total()
    if landing.manifest.landed_nothing_of is None:
        return None
    faults = []
    if landing.reasons:
        reason = max(landing.reasons, key=lambda each: landing.reasons[each])
        faults.append(
            f"{total['quarantined']:,} could not be read, {landing.reasons[reason]:,} of them {reason} (expected: "
            f"{EXPECTED[reason]}; the first one begins {beginning(landing.samples[reason])})"
        )
    if total["ignored"]:
        seen = f" ({most_ignored(landing.types)})" if landing.types is not None and landing.types.ignored else ""
        faults.append(
            f"{total['ignored']:,} are of ignored types{seen}; expected are {' and '.join(COUNTED_TYPES)}, or what "
            "GAME_ANALYTICS_KILL_TYPES and GAME_ANALYTICS_DEATH_TYPES name"
        )
    more = f"`game-analytics quarantine {day}` shows more. " if total["quarantined"] else ""
    return (
        f"None of the messages of {day} became an event: {', and '.join(faults)}. The day is landed so, and its stats "
        f"and board stay as they stand. {more}Once it is put right, materialize raw_events and daily_player_stats "
        "again."
    )


def _one_type_alone(types: TypesSeen) -> str | None:
    absent = [each for each in COUNTED_TYPES if not types.landed.get(each)]
    landed = sum(types.landed.values())
    if not absent or not landed:
        return None
    ignored = f" (ignored types: {most_ignored(types)})" if types.ignored else ""
    return (
        f"{landed:,} events were landed, and none of them is a {' or a '.join(absent)}. If producers call it by "
        f"another name{ignored}, set GAME_ANALYTICS_{absent[0]}_TYPES and land the day again"
    )


def _resembling(types: TypesSeen) -> str | None:
    resembling = {name: each for name in types.ignored if (each := resembled_type(name)) is not None}
    if not resembling:
        return None
    named = ", ".join(f"{types.ignored[name]:,} of {name!r}" for name in list(resembling)[:MOST_TYPES])
    settings = " and ".join(f"GAME_ANALYTICS_{each}_TYPES" for each in dict.fromkeys(resembling.values()))
    return (
        f"messages were ignored whose type differs from {' or '.join(dict.fromkeys(resembling.values()))} only by "
        f"case, blanks or a prefix: {named}. If they are meant to count, name them in {settings} (as a JSON list where "
        "a name has blanks or commas) and land the day again; if not, give them a name that does not end so"
    )


def _local_times(times: Mapping[str, int]) -> str | None:
    """Signs that a producer writes local time."""
    without, with_offset, displaced = times["without_offset"], times["with_offset"], times["displaced"]
    faults = []
    if without and with_offset:
        faults.append(f"{without:,} events have a ts without an offset from UTC, beside {with_offset:,} that have one")
    if displaced * 100 > without * DISPLACED_PERCENT:
        faults.append(
            f"{displaced:,} of {without:,} events whose ts has no offset fall on another day than their message"
        )
    if not faults:
        return None
    return f"{'; '.join(faults)}. They are taken as UTC; a producer may write local time. Have it add `Z` or an offset"


def notes(landing: LandingReport) -> dict[str, str]:
    """What a passing check reports, by the check's name."""
    missed = landing.manifest.missed
    return {NOTHING_MISSED: f"{_counts(missed)}: {_LANDED_BY_SENSOR}"} if missed else {}


def _missed(landing: LandingReport) -> str | None:
    """Late events of other days, unless they are few and the sensor lands them."""
    manifest = landing.manifest
    left = {day: count for day, count in manifest.missed.items() if not landing.lands_again[date.fromisoformat(day)]}
    if left:
        return (
            f"{_counts(left)} were not read by those days' landings, and no sensor will land them, since the days "
            "are too long ago or to come, or the topic no longer holds them. For those that it holds, materialize "
            f'raw_events and daily_player_stats with `up_to_landing_of: "{manifest.day}"` in the run config of '
            "raw_events"
        )
    missed, landed = sum(manifest.missed.values()), manifest.total()["landed"]
    if missed * 100 <= landed * MISSED_PERCENT:
        return None
    return (
        f"{_counts(manifest.missed)} were not read by those days' landings, more than {MISSED_PERCENT} % of the day: "
        f"{_LANDED_BY_SENSOR}. Check whether producers or a mirror lag, or set more GAME_ANALYTICS_LATENESS_MINUTES"
    )


def _counts(missed: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} events of {day}" for day, count in most_missed(missed))
