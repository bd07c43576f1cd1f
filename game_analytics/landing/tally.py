"""What became of a day's messages, summed up slice by slice."""

from collections import Counter
from datetime import date

from game_analytics.landing.slices import SliceReport
from game_analytics.landing.window import Lookups, Range, own_bounds
from game_analytics.rules.manifest import Account, LandedObject


class Tally:
    """The sum of slices in any order. Its size does not depend on how many messages they hold."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups
        self._counts: dict[int, Counter[str]] = {}
        self._missed = Counter[date]()
        self._objects: list[tuple[int, int, LandedObject]] = []
        self.reasons = Counter[str]()
        self._samples: dict[str, tuple[int, int, bytes | None]] = {}

    def add(self, report: SliceReport) -> None:
        piece = report.slice
        counts = self._counts.setdefault(piece.partition, Counter())
        counts["offsets"] += piece.end - piece.first
        for name in ("read", "landed", "ignored", "other_days", "quarantined"):
            counts[name] += getattr(report, name)
        self._objects += [(piece.partition, piece.first, landed) for landed in report.objects]
        self.reasons += report.reasons
        for reason, value in report.samples.items():
            sample = (piece.partition, piece.first, value)
            self._samples[reason] = min(sample, self._samples.get(reason, sample), key=lambda each: each[:2])
        for (day,), events in report.strays.group_by("day"):
            first, end = own_bounds(self._lookups, day, piece.partition)
            offset = events["kafka_offset"]
            self._missed[day] += int(((offset < first) | (offset >= end)).sum())

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

    def objects(self) -> list[LandedObject]:
        """By slice, in whatever order the slices were done."""
        return [landed for _, _, landed in sorted(self._objects, key=lambda each: each[:2])]

    def samples(self) -> dict[str, bytes | None]:
        """The first quarantined message of each reason."""
        return {reason: value for reason, (_, _, value) in self._samples.items()}

    def missed(self) -> dict[str, int]:
        """Events of other days that those days' own windows don't hold, counted by day, in order of the day."""
        return {day.isoformat(): count for day, count in sorted(self._missed.items()) if count}
