"""`game-analytics quarantine`: a day's messages that could not be read, with reasons and samples."""

from collections import Counter
from datetime import date

import polars as pl
from rich.console import Console

from game_analytics.cli.terminal import rich_table, visible
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import InputChanged, Lake
from game_analytics.lake.committed import CommittedLanding
from game_analytics.landing.reread import quarantined
from game_analytics.landing.tables import quarantine_table
from game_analytics.leaderboards.player_stats import landed_day
from game_analytics.rules.days import time_text
from game_analytics.rules.events import REASONS
from game_analytics.settings import read_settings

_SHOWN_BYTES = 200


def show_quarantine(console: Console, day: date, samples: int) -> None:
    """Print the number of quarantined messages by reason, and the first ``samples`` of each.

    Raises `GameAnalyticsError` if the day was never landed, or its quarantine objects are gone.
    """
    lake = Lake.open(read_settings().lake)
    landing = landed_day(lake, day)
    try:
        reasons, first = _by_reason(lake, landing, samples)
    except InputChanged as error:
        raise GameAnalyticsError(f"{day} was landed again while its quarantine was read. Run again.") from error
    read = landing.manifest.total()["read"]
    if not reasons:
        console.print(f"Nothing of {day} is quarantined: all {read:,} messages could be read.")
        return
    in_order = {reason: reasons[reason] for reason in REASONS if reason in reasons}
    console.print(f"{day}: {reasons.total():,} of {read:,} messages could not be read", style="bold")
    console.print(rich_table(quarantine_table(in_order)))
    for reason in in_order:
        # As integers: timestamps of wrong clocks may lie outside Python's calendar.
        for row in first[reason].with_columns(pl.col("kafka_timestamp").cast(pl.Int64)).iter_rows(named=True):
            place = f"partition {row['kafka_partition']}, offset {row['kafka_offset']:,}"
            place += f", {_delivered(row['kafka_timestamp'])}"
            console.print(visible(f"{reason}: {place}"), style="bold", soft_wrap=True)
            console.print(visible(f"  {_shown(row['value'])}"), soft_wrap=True)
    console.print(
        "\nOnce the rules are fixed: materialize raw_events and daily_player_stats of the day again; if the log no "
        "longer holds it, with `reread_quarantine: true` in the run config of raw_events.",
        soft_wrap=True,
    )


def _by_reason(lake: Lake, landing: CommittedLanding, samples: int) -> tuple[Counter[str], dict[str, pl.DataFrame]]:
    """The number of messages of each reason, and the first ones by partition and offset. Holds one object at a time in
    memory."""
    counts = Counter[str]()
    first: dict[str, pl.DataFrame] = {}
    for key in landing.manifest.keys("quarantine"):
        for (reason,), rows in quarantined(lake, landing, key).group_by("reason"):
            counts[str(reason)] += rows.height
            seen = [first[str(reason)]] if str(reason) in first else []
            place = ("kafka_partition", "kafka_offset")
            first[str(reason)] = pl.concat([*seen, rows]).sort(place).head(samples)
    return counts, first


def _shown(value: bytes | None) -> str:
    """The beginning of a message as text."""
    if value is None:
        return "(no value)"
    text = value[:_SHOWN_BYTES].decode(errors="backslashreplace")
    return f"{text} … ({len(value):,} bytes)" if len(value) > _SHOWN_BYTES else text


def _delivered(timestamp_ms: int | None) -> str:
    return "without a timestamp" if timestamp_ms is None else f"delivered {time_text(timestamp_ms)}"
