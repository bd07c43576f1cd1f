"""Tables of a landing for the UI, a terminal and the run's log: its account, its quarantine, its late events."""

from collections.abc import Mapping

from game_analytics.errors import printable
from game_analytics.landing.report import LandingReport, TypesSeen
from game_analytics.rules.table import Kind, Table

MOST_MISSED = 20
"""Days with missed events that are shown; a producer with a wrong clock can cause thousands."""

MOST_TYPES = 20
"""Ignored types that are shown."""

_SAMPLE_BYTES = 60
_SUMMED = ("read", "gaps", "landed", "ignored", "other_days", "quarantined")
_OFFSETS = ("first", "end")


def account_table(landing: LandingReport) -> Table:
    """The account of the day: one row per partition, one for all."""
    columns = ("partition", *_OFFSETS, *_SUMMED)
    total = landing.manifest.total()
    rows = [[getattr(account, name) for name in columns] for account in landing.manifest.partitions]
    # A sum of offsets means nothing.
    return Table(
        {"partition": Kind.WORD, **dict.fromkeys(columns[1:], Kind.NUMBER)},
        [*rows, ["all", "", "", *(total[name] for name in _SUMMED)]],
    )


def account_lines(landing: LandingReport) -> str:
    """The account as text: one line per partition, one for all."""
    lines = []
    for account in landing.manifest.partitions:
        counts = _counted({name: getattr(account, name) for name in _SUMMED})
        lines.append(f"partition {account.partition}, offsets {account.first:,} to {account.end:,}: {counts}")
    lines.append(f"all: {_counted(landing.manifest.total())}")
    if landing.types is not None and landing.types.ignored:
        lines.append(f"ignored types: {most_ignored(landing.types)}")
    if landing.types is not None and landing.types.times["without_offset"]:
        lines.append(f"times without an offset, taken as UTC: {landing.types.times['without_offset']:,}")
    return "\n".join(lines)


def most_ignored(types: TypesSeen) -> str:
    """The types of ignored messages with their counts, most first."""
    return ", ".join(f"{printable(name)} {count:,}" for name, count in list(types.ignored.items())[:MOST_TYPES])


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items())


def beyond_table(landing: LandingReport) -> Table:
    """Messages read beyond the day's own offsets, for late events of it, by class."""
    return Table({"read beyond the day": Kind.WORD, "messages": Kind.NUMBER}, list(landing.beyond.items()))


def quarantine_table(reasons: Mapping[str, int], samples: Mapping[str, bytes | None] | None = None) -> Table:
    """Messages that could not be read, one row per reason; with ``samples``, also the start of one of each."""
    columns = {"reason": Kind.WORD, "messages": Kind.NUMBER}
    if samples is None:
        return Table(columns, list(reasons.items()))
    rows = [(reason, count, beginning(samples[reason])) for reason, count in reasons.items()]
    return Table({**columns, "sample": Kind.TEXT}, rows)


def beginning(value: bytes | None) -> str:
    """The start of a message, as a Python literal without quotes."""
    if value is None:
        return "(no value)"
    text = repr(value[:_SAMPLE_BYTES])[2:-1]
    return f"{text} … ({len(value):,} bytes)" if len(value) > _SAMPLE_BYTES else text


def ignored_table(types: TypesSeen) -> Table:
    """The types of ignored messages, most first."""
    columns = {"ignored type": Kind.TEXT, "messages": Kind.NUMBER}
    return Table(columns, list(types.ignored.items())[:MOST_TYPES])


def missed_table(landing: LandingReport) -> Table:
    """Other days with late events found here, and how many events they miss."""
    return Table({"day": Kind.WORD, "events": Kind.NUMBER}, most_missed(landing.manifest.missed))


def most_missed(missed: Mapping[str, int]) -> list[tuple[str, int]]:
    """At most `MOST_MISSED` days with their events, most events first."""
    return sorted(missed.items(), key=lambda of_day: -of_day[1])[:MOST_MISSED]
