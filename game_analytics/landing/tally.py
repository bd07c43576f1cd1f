"""What became of a day's messages, summed up slice by slice."""

from collections import Counter
from collections.abc import Callable
from datetime import date

import polars as pl

from game_analytics.lake.manifest import Account, LandedObject
from game_analytics.landing.plan import Range
from game_analytics.landing.slices import COUNTS, SliceReport

Missed = Callable[[date, int, pl.Series], int]
"""Of events of another day, at these offsets of a partition: how many that day does not hold."""


class Tally:
    """The sum of slices in any order. Its size does not depend on how many messages they hold."""

    def __init__(self, missed_of: Missed) -> None:
        self._missed_of = missed_of
        self._counts: dict[int, Counter[str]] = {}
        self._known_read = Counter[int]()
        self._missed = Counter[date]()
        self._objects: list[tuple[int, int, LandedObject]] = []
        self._samples: dict[str, tuple[int, int, bytes | None]] = {}
        self.reasons = Counter[str]()
        self.own = Counter[str]()
        """Of what belongs to the day itself, all partitions: messages by `COUNTS`."""

    def add(self, report: SliceReport) -> None:
        piece = report.slice
        counts = self._counts.setdefault(piece.partition, Counter())
        counts["offsets"] += piece.end - piece.first
        for name in COUNTS:
            counts[name] += getattr(report, name)
        self.own.update(report.own)
        self._known_read[piece.partition] += report.known_read
        self._objects += [(piece.partition, piece.first, landed) for landed in report.objects]
        self.reasons += report.reasons
        for reason, value in report.samples.items():
            sample = (piece.partition, piece.first, value)
            self._samples[reason] = min(sample, self._samples.get(reason, sample), key=lambda each: each[:2])
        for (day,), events in report.strays.group_by("day"):
            self._missed[day] += self._missed_of(day, piece.partition, events["kafka_offset"])

    def account(self, span: Range) -> Account:
        counts = self._counts.get(span.partition, Counter())
        return Account(
            partition=span.partition,
            first=span.first,
            end=span.end,
            next_day_first=span.next_day_first,
            read=counts["read"],
            gaps=counts["offsets"] - counts["read"],
            landed=counts["landed"],
            ignored=counts["ignored"],
            other_days=counts["other_days"],
            quarantined=counts["quarantined"],
        )

    def read_again(self, partition: int) -> int:
        """How many messages were read of the offsets that the standing landing has read."""
        return self._known_read[partition]

    def objects(self) -> list[LandedObject]:
        """By slice, in whatever order the slices were done."""
        return [landed for _, _, landed in sorted(self._objects, key=lambda each: each[:2])]

    def samples(self) -> dict[str, bytes | None]:
        """The first quarantined message of each reason."""
        return {reason: value for reason, (_, _, value) in self._samples.items()}

    def missed(self) -> dict[str, int]:
        """Events of other days that those days don't hold, counted by day, in order of the day."""
        return {day.isoformat(): count for day, count in sorted(self._missed.items()) if count}
