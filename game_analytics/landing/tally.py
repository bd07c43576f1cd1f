"""The sums of a day over its slices: messages by class and partition, objects, reasons, late events."""

from collections import Counter
from collections.abc import Callable
from datetime import date

import polars as pl

from game_analytics.lake.manifest import Account, LandedObject
from game_analytics.landing.plan import Range
from game_analytics.landing.slices import COUNTS, SliceReport, add_types

Missed = Callable[[date, int, pl.Series], int]
"""How many events of another day, at these offsets (Int64) of a partition, that day's landing has not read."""


class Tally:
    """The sums of slices, added in any order. Its size does not depend on the number of messages."""

    def __init__(self, missed_of: Missed) -> None:
        self._missed_of = missed_of
        self._counts: dict[int, Counter[str]] = {}
        self._known_read = Counter[int]()
        self._missed = Counter[date]()
        self._objects: list[tuple[int, int, LandedObject]] = []
        self._samples: dict[str, tuple[int, int, bytes | None]] = {}
        self.reasons = Counter[str]()
        self.own = Counter[str]()
        """Messages in the day's own offsets, all partitions, by `COUNTS`."""
        self.landed_types = Counter[str]()
        self.ignored_types = Counter[str]()
        self.times = Counter[str]()

    def add(self, report: SliceReport) -> None:
        slice_ = report.slice
        counts = self._counts.setdefault(slice_.partition, Counter())
        counts["offsets"] += slice_.end - slice_.first
        for name in COUNTS:
            counts[name] += getattr(report, name)
        self.own.update(report.own)
        self._known_read[slice_.partition] += report.read_again
        self._objects += [(slice_.partition, slice_.first, landed) for landed in report.objects]
        self.reasons += report.reasons
        self.landed_types.update(report.landed_types)
        add_types(self.ignored_types, report.ignored_types)
        self.times.update(report.times)
        for reason, value in report.samples.items():
            sample = (slice_.partition, slice_.first, value)
            self._samples[reason] = min(sample, self._samples.get(reason, sample), key=lambda each: each[:2])
        for (day,), events in report.strays.group_by("day"):
            self._missed[day] += self._missed_of(day, slice_.partition, events["kafka_offset"])

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
        """Messages read at the offsets that the committed landing has read."""
        return self._known_read[partition]

    def objects(self) -> list[LandedObject]:
        """By partition and offset, whatever the order in which slices were added."""
        return [landed for _, _, landed in sorted(self._objects, key=lambda each: each[:2])]

    def samples(self) -> dict[str, bytes | None]:
        """The first quarantined message of each reason."""
        return {reason: value for reason, (_, _, value) in self._samples.items()}

    def missed(self) -> dict[str, int]:
        """Late events of other days that their landings have not read: ``2025-12-29`` to count, by day."""
        return {day.isoformat(): count for day, count in sorted(self._missed.items()) if count}
