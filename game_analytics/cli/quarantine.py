"""`game-analytics quarantine`: a day's messages that could not be read, with reasons and samples."""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

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
from game_analytics.rules.events import EXPECTED, REASONS
from game_analytics.settings import read_settings
from game_analytics.sources.formats.json import where_it_breaks_off

_SHOWN_BYTES = 200
_PLACE = ("kafka_partition", "kafka_offset")


def show_quarantine(console: Console, day: date, samples: int, *, as_json: bool = False) -> None:
    """Print the number of quarantined messages by reason, what was expected, and the first ``samples`` of each.

    Raises `GameAnalyticsError` if the day was never landed, or its quarantine objects are gone.
    """
    lake = Lake.open(read_settings().lake)
    landing = landed_day(lake, day)
    reasons, first = _by_reason(_rows(lake, landing), samples)
    in_order = {reason: reasons[reason] for reason in REASONS if reason in reasons}
    read = landing.manifest.total()["read"]
    if as_json:
        console.out(json.dumps(_document(day, read, in_order, first), indent=1, ensure_ascii=False), highlight=False)
    elif in_order:
        _print(console, day, read, in_order, first)
    else:
        console.print(f"Nothing of {day} is quarantined: all {read:,} messages could be read.")


def write_quarantine(console: Console, day: date, path: Path) -> None:
    """Write the values of all quarantined messages as they were received, each followed by a line feed.

    Raises `GameAnalyticsError` as `show_quarantine` does, and if the file can't be written.
    """
    lake = Lake.open(read_settings().lake)
    landing = landed_day(lake, day)
    unfinished = path.with_name(f"{path.name}.part")
    written = absent = 0
    try:
        with unfinished.open("wb") as file:
            for rows in _rows(lake, landing):
                for value in rows["value"]:
                    absent += value is None
                    if value is not None:
                        written += 1
                        file.write(value + b"\n")
        unfinished.replace(path)
    except OSError as error:
        raise GameAnalyticsError(f"{path} can't be written: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    more = f" {absent:,} tombstones have no value." if absent else ""
    console.print(visible(f"Wrote {written:,} values to {path}, each followed by a line feed.{more}"), soft_wrap=True)


def _rows(lake: Lake, landing: CommittedLanding) -> Iterator[pl.DataFrame]:
    """The quarantined messages, one object at a time, by partition and offset."""
    for key in landing.manifest.keys("quarantine"):
        try:
            yield quarantined(lake, landing, key).sort(_PLACE)
        except InputChanged as error:
            day = landing.manifest.day
            raise GameAnalyticsError(f"{day} was landed again while its quarantine was read. Run again.") from error


def _by_reason(objects: Iterable[pl.DataFrame], samples: int) -> tuple[Counter[str], dict[str, pl.DataFrame]]:
    """The number of messages of each reason, and the first ones by partition and offset."""
    counts = Counter[str]()
    first: dict[str, pl.DataFrame] = {}
    for messages in objects:
        for (reason,), rows in messages.group_by("reason"):
            counts[str(reason)] += rows.height
            seen = [first[str(reason)]] if str(reason) in first else []
            first[str(reason)] = pl.concat([*seen, rows]).sort(_PLACE).head(samples)
    # As integers: timestamps of wrong clocks may lie outside Python's calendar.
    return counts, {
        reason: rows.with_columns(pl.col("kafka_timestamp").cast(pl.Int64)) for reason, rows in first.items()
    }


def _print(
    console: Console, day: date, read: int, reasons: Mapping[str, int], first: Mapping[str, pl.DataFrame]
) -> None:
    console.print(f"{day}: {sum(reasons.values()):,} of {read:,} messages could not be read", style="bold")
    console.print(rich_table(quarantine_table(reasons)))
    for reason in reasons:
        console.print(visible(f"{reason}: expected is {EXPECTED[reason]}"), style="bold", soft_wrap=True)
        for row in first[reason].iter_rows(named=True):
            place = f"partition {row['kafka_partition']}, offset {row['kafka_offset']:,}"
            place += f", {_delivered(row['kafka_timestamp'])}"
            console.print(visible(f"{reason}: {place}"), soft_wrap=True)
            console.print(visible(f"  {_shown(row['value'])}"), soft_wrap=True)
            if (broken := _broken_at(reason, row["value"])) is not None:
                console.print(visible(f"  {broken}"), soft_wrap=True)
    console.print(
        "\nOnce the rules are fixed: materialize raw_events and daily_player_stats of the day again; if the log no "
        "longer holds it, with `reread_quarantine: true` in the run config of raw_events.",
        soft_wrap=True,
    )


def _document(day: date, read: int, reasons: Mapping[str, int], first: Mapping[str, pl.DataFrame]) -> dict[str, object]:
    """What is shown, for programs. Values are whole: text, or base64 where they are no UTF-8."""
    return {
        "day": day.isoformat(),
        "read": read,
        "quarantined": sum(reasons.values()),
        "reasons": [
            {
                "reason": reason,
                "messages": count,
                "expected": EXPECTED[reason],
                "samples": [_sample(reason, row) for row in first[reason].iter_rows(named=True)],
            }
            for reason, count in reasons.items()
        ],
    }


def _sample(reason: str, row: Mapping[str, Any]) -> dict[str, object]:
    value: bytes | None = row["value"]
    sample: dict[str, object] = {
        "partition": row["kafka_partition"],
        "offset": row["kafka_offset"],
        "timestamp_ms": row["kafka_timestamp"],
    }
    try:
        sample["value"] = None if value is None else value.decode()
    except UnicodeDecodeError:
        sample["value_base64"] = base64.b64encode(value or b"").decode()
    if (broken := _broken_at(reason, value)) is not None:
        sample["breaks_off"] = broken
    return sample


def _broken_at(reason: str, value: bytes | None) -> str | None:
    return where_it_breaks_off(value) if reason == "not_json" and value is not None else None


def _shown(value: bytes | None) -> str:
    """The beginning of a message as text."""
    if value is None:
        return "(no value)"
    text = value[:_SHOWN_BYTES].decode(errors="backslashreplace")
    return f"{text} … ({len(value):,} bytes)" if len(value) > _SHOWN_BYTES else text


def _delivered(timestamp_ms: int | None) -> str:
    return "without a timestamp" if timestamp_ms is None else f"delivered {time_text(timestamp_ms)}"
