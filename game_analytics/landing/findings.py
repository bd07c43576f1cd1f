"""The findings of a landing's checks. A finding is a sentence; None if the check passes."""

from collections.abc import Mapping
from datetime import date

from game_analytics.landing.report import LandingReport
from game_analytics.landing.tables import most_missed
from game_analytics.rules.volume import much_quarantined, unusual_volume

NOTHING_MISSED = "nothing_missed"

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
    return {
        "window_closed": None if manifest.window_closed else too_early,
        "has_events": None if manifest.total()["landed"] else "no event was landed",
        "usual_volume": unusual_volume(manifest.day, volumes, volume_percent / 100),
        "little_quarantined": much_quarantined(own["read"], own["quarantined"], quarantine_percent / 100),
        NOTHING_MISSED: _missed(landing),
        "log_goes_on": landing.lags,
        "read_as_planned": "; ".join([*landing.warnings, *landing.truncated]) or None,
    }


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
