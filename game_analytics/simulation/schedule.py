"""How many messages there are, and when: the arithmetic of hours and offsets, known without generating anything.

What the messages say is decided elsewhere.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import accumulate

from game_analytics.errors import GameAnalyticsError
from game_analytics.rules.days import FIRST_DAY

START = datetime.combine(FIRST_DAY, time(), UTC) - timedelta(days=1)
"""Hour 0 of the topic. One day before the first partition, so that the first day's window finds its beginning."""

HOUR_MS = 3_600_000

# Messages of each UTC hour in a thousand of the day: quiet before dawn, busiest in the evening.
_PER_MILLE = (30, 24, 19, 16, 15, 16, 20, 25, 30, 34, 38, 41, 44, 46, 49, 53, 58, 64, 70, 74, 73, 66, 54, 41)
_PER_MILLE_BEFORE = tuple(accumulate(_PER_MILLE, initial=0))

# So that each partition has at least three messages in every hour: its heartbeat, a malformed one and a repeated one.
_SMALLEST_DAY = 200
_MOST_PARTITIONS = 100


@dataclass(frozen=True)
class Simulation:
    """The settings of an endless topic of matches; equal settings are the same topic, byte for byte.

    An hour is a whole number of UTC hours since `START`. The messages of all time are numbered, and dealt to the
    partitions in turn: that alone fixes how many messages each partition has in each hour, and their offsets.
    """

    seed: int = 7
    events_per_day: int = 100_000
    """Messages a day, trouble and events that the pipeline ignores included."""
    partitions: int = 4
    malformed_share: float = 0.002
    """Messages that cannot be read, of all messages."""
    repeated_share: float = 0.005
    """Messages delivered once more, of all messages."""
    late_share: float = 0.005
    """Messages delivered minutes to hours after they happened, or stamped by a clock that is ahead, of all messages."""

    def __post_init__(self) -> None:
        """Refuse settings that no topic can be made of."""
        if not 1 <= self.partitions <= _MOST_PARTITIONS:
            raise _refusal("partitions", self.partitions, f"a whole number from 1 to {_MOST_PARTITIONS}")
        if self.events_per_day < _SMALLEST_DAY * self.partitions:
            smallest = f"at least {_SMALLEST_DAY * self.partitions} ({_SMALLEST_DAY} for each of {self.partitions}"
            raise _refusal("events_per_day", self.events_per_day, f"{smallest} partitions)")
        for name in ("malformed_share", "repeated_share", "late_share"):
            if not 0 <= getattr(self, name) <= 0.2:
                raise _refusal(name, getattr(self, name), "a share of all messages from 0 to 0.2")

    @property
    def players(self) -> int:
        """How many players there are; they are numbered from 0."""
        return max(100, self.events_per_day // 20)

    def partition_players(self, partition: int) -> int:
        """How many players a partition has: those with this remainder when their number is divided by the number of
        partitions. All messages of a player go there."""
        return self._dealt(self.players, partition)

    def messages_before(self, hour: int) -> int:
        """How many messages the topic gets, in all its partitions, before the hour begins."""
        day, hour_of_day = divmod(hour, 24)
        return day * self.events_per_day + self._day_so_far(hour_of_day)

    def first_offset(self, partition: int, hour: int) -> int:
        """The offset of the partition's first message in the hour: the heartbeat, delivered as the hour begins."""
        return self._dealt(self.messages_before(hour), partition)

    def messages_in(self, partition: int, hour: int) -> int:
        """How many messages the partition gets in the hour."""
        return self.first_offset(partition, hour + 1) - self.first_offset(partition, hour)

    def hour_of(self, partition: int, offset: int) -> int:
        """The hour in which the message with this offset is delivered."""
        day, number = divmod(offset * self.partitions + partition, self.events_per_day)
        day_so_far = [self._day_so_far(hour_of_day) for hour_of_day in range(24)]
        return day * 24 + bisect_right(day_so_far, number) - 1

    def _day_so_far(self, hour_of_day: int) -> int:
        return self.events_per_day * _PER_MILLE_BEFORE[hour_of_day] // 1000

    def _dealt(self, count: int, partition: int) -> int:
        """How many of ``count`` things the partition gets when they are dealt to all partitions in turn."""
        return (count + self.partitions - 1 - partition) // self.partitions


def start_of(hour: int) -> datetime:
    """The instant at which the hour begins."""
    return START + timedelta(hours=hour)


def hour_at(instant: datetime) -> int:
    """The hour in which the instant lies."""
    return (instant - START) // timedelta(hours=1)


def _refusal(setting: str, value: float, allowed: str) -> GameAnalyticsError:
    return GameAnalyticsError(f"The simulation's {setting} is {value}, but must be {allowed}. Change the setting.")
