"""The effect of bad messages on the speed of decoding, measured for the rule alone, on messages in memory.

``python -m benchmarks.decoding MESSAGES RUNS`` prints the CPU seconds per million messages of each run as JSON.
"""

import sys
import time
from datetime import UTC, date, datetime, timedelta

import msgspec
import polars as pl

from game_analytics.landing.slices import MAX_BATCH, MAX_BATCH_BYTES
from game_analytics.rules.events import classify
from game_analytics.simulation.log import MemoryEventLog
from game_analytics.simulation.schedule import Simulation
from game_analytics.simulation.trouble import MALFORMED_IN_TURN
from game_analytics.sources.formats.json import decode

JSON = decode

GOOD = "only good messages"
ONE_BAD = "one bad message in all"
TENTH_BAD = "10 % bad messages, of every kind"
TENTH_CUT_OFF = "10 % bad messages, all cut off"

_DAY = date(2025, 12, 30)
_CUT_OFF = b'{"event_type":"DEATH","player_id":"p000'


def main() -> None:
    """Classify each kind of messages in turn, in every run."""
    messages, runs = (int(word) for word in sys.argv[1:])
    good = _good_batches(messages)
    kinds = {
        GOOD: good,
        ONE_BAD: [_with_bad(good[0], good[0].height, pl.Series([_CUT_OFF])), *good[1:]],
        TENTH_BAD: [_with_bad(batch, 10, MALFORMED_IN_TURN) for batch in good],
        TENTH_CUT_OFF: [_with_bad(batch, 10, pl.Series([_CUT_OFF])) for batch in good],
    }
    _cpu_per_million(good[:1])  # warm-up, such as starting threads
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(runs):
        for kind, batches in kinds.items():
            seconds[kind].append(_cpu_per_million(batches))
    sys.stdout.buffer.write(msgspec.json.encode(seconds))


def _good_batches(messages: int) -> list[pl.DataFrame]:
    """A day without faults, in batches as landing reads them."""
    faultless = Simulation(events_per_day=messages, partitions=1, malformed_share=0, repeated_share=0, late_share=0)
    log = MemoryEventLog(faultless)
    midnight = datetime(_DAY.year, _DAY.month, _DAY.day, tzinfo=UTC)
    bounds = [log.first_at_or_after(midnight + timedelta(days=days))[0] for days in (0, 1)]
    first, end = (found.offset for found in bounds if found is not None)
    return list(log.read(0, first, end, max_messages=MAX_BATCH, max_bytes=MAX_BATCH_BYTES))


def _with_bad(batch: pl.DataFrame, every: int, bad: pl.Series) -> pl.DataFrame:
    """The batch with one in ``every`` messages replaced by those of ``bad`` in turn, beginning with the first."""
    row = pl.int_range(pl.len())
    turn = row // every % len(bad)
    return batch.with_columns(value=pl.when(row % every == 0).then(pl.lit(bad).gather(turn)).otherwise("value"))


def _cpu_per_million(batches: list[pl.DataFrame]) -> float:
    started = time.process_time()
    for batch in batches:
        classify(batch, 0, _DAY, decode=JSON)
    return (time.process_time() - started) / sum(batch.height for batch in batches) * 1_000_000


if __name__ == "__main__":
    main()
