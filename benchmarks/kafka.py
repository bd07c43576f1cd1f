"""`make bench-kafka`: what landing a day from a real Kafka takes, beside a bare loop and the original sketch's way.

Starts a broker and an S3 server in a temporary folder, publishes a small and a large day, and measures each way in
programs of their own, all ways in turn and then again. Every figure that is told is the median of its runs.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click
import confluent_kafka
import msgspec
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.machine import cores, machine
from benchmarks.measuring import Job, Usage, run_job, run_program
from benchmarks.servers import publish_day, s3_server
from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.endpoint import S3Endpoint, make_bucket
from game_analytics.local_stack.kafka_broker import KAFKA_VERSION, Broker, find_kafka
from game_analytics.simulation.schedule import Simulation

_ASKED_OF = 1_000_000
_LARGE = 5
"""The large day holds so many times as many events as the small one."""


@dataclass(frozen=True)
class Way:
    """A program that reads a whole topic."""

    name: str
    module: str
    argument: str = ""


_LOOP = Way("a   bare loop, defaults", "benchmarks.bare_loop", "defaults")
_TUNED_LOOP = Way("a'  bare loop, tuned", "benchmarks.bare_loop", "as-landing")
_LANDING = Way("b   landing, 1 process", "benchmarks.landing", "1")
_LANDING_BY_TWO = Way("b2  landing, 2 processes", "benchmarks.landing", "2")
_SKETCH = Way("c   the sketch's way", "benchmarks.sketch")
_WAYS = (_LOOP, _TUNED_LOOP, _LANDING, _LANDING_BY_TWO, _SKETCH)

_NOTES = """\
CPU: user and system seconds of the measured process, its threads and its children; broker and S3 server not among it.
Wall: broker and S3 server share the cores with what is measured. b / b2 is asked of a broker on cores of its own.
Peak: resident memory; of several processes the sum of each one's own peak, which is an upper bound.
a: consume(10000), nothing set but the servers and a group. a': consume(200) and landing's own client settings.
c: reads on until the day is read and leaves out the 0.2 % of messages that cannot be read; the sketch itself would have
   stopped at 10,000 messages, and ended with an error at the first bad one."""


class Figures:
    """The runs of each way at each size, and their medians."""

    def __init__(self, small: int, large: int) -> None:
        self.small, self.large = small, large
        self._runs: dict[tuple[Way, int], list[Usage]] = {}

    def add(self, way: Way, size: int, usage: Usage) -> None:
        self._runs.setdefault((way, size), []).append(usage)

    def cpu(self, way: Way, size: int) -> float:
        """CPU seconds per million messages."""
        return median(usage.cpu_per_million for usage in self._runs[way, size])

    def wall(self, way: Way, size: int) -> float:
        """Seconds."""
        return median(usage.wall_seconds for usage in self._runs[way, size])

    def peak(self, way: Way, size: int) -> float:
        """Bytes."""
        return median(usage.peak_bytes for usage in self._runs[way, size])


@click.command()
@click.option(
    "--events",
    default=_ASKED_OF,
    show_default=True,
    help=f"In the small day; {_LARGE} times as many in the large one.",
)
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1), help="Of each way at each size.")
def main(events: int, runs: int) -> None:
    """Measure landing from a real Kafka, and print how it compares with what is asked of it."""
    console = Console(highlight=False)
    head = f"{machine()}, librdkafka {confluent_kafka.libversion()[0]}, Kafka {KAFKA_VERSION}"
    console.print(head, soft_wrap=True)
    figures = Figures(events, _LARGE * events)
    try:
        _measure(console, figures, runs)
    except GameAnalyticsError as error:
        raise click.ClickException(str(error)) from error
    console.print("  decoding ...")
    decoding = msgspec.json.decode(
        run_program("benchmarks.decoding", [str(events), str(runs)]), type=dict[str, list[float]]
    )
    console.print()
    console.print(head, soft_wrap=True)
    console.print(f"Medians of {runs} run{'s' if runs > 1 else ''} each\n")
    for table in (_figures_table(figures), _comparison(figures), _decoding_table(decoding)):
        console.print(table)
    console.print(_NOTES, soft_wrap=True)
    if events < _ASKED_OF:
        console.print(f"It is asked of a day of {_ASKED_OF:,} events; less is for a look: starting takes most of it.")


def _measure(console: Console, figures: Figures, runs: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="bench-kafka-") as folder,
        Broker(find_kafka(), Path(folder) / "kafka") as broker,
        s3_server(Path(folder) / "s3") as s3,
    ):
        ends = {size: _published(broker, size) for size in (figures.small, figures.large)}
        for run in range(1, runs + 1):
            for size, topic_ends in ends.items():
                for number, way in enumerate(_WAYS):
                    bucket = f"run-{run}-{size}-{number}"
                    make_bucket(s3.endpoint, bucket)
                    job = _job(broker, s3.endpoint, _topic(size), topic_ends, bucket)
                    usage = run_job(way.module, [way.argument], job)
                    figures.add(way, size, usage)
                    console.print(f"  run {run} of {runs}  {_line(way, size, usage)}", soft_wrap=True)


def _published(broker: Broker, size: int) -> list[int]:
    """Publish the day, and return the end offset of each partition."""
    publish_day(broker, _topic(size), size)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    partitions = [TopicPartition(_topic(size), partition) for partition in range(Simulation.partitions)]
    answers = admin.list_offsets(dict.fromkeys(partitions, OffsetSpec.latest()))
    return [answers[partition].result().offset for partition in partitions]


def _topic(size: int) -> str:
    return f"day-of-{size}"


def _job(broker: Broker, s3: S3Endpoint, topic: str, ends: list[int], bucket: str) -> Job:
    return Job(
        bootstrap_servers=broker.bootstrap_servers,
        topic=topic,
        ends=ends,
        s3_url=s3.url,
        s3_region=s3.region,
        s3_access_key_id=s3.access_key_id,
        s3_secret_access_key=s3.secret_access_key,
        bucket=bucket,
    )


def _line(way: Way, size: int, usage: Usage) -> str:
    return (
        f"{size:>9,} events  {way.name:<26}{usage.cpu_per_million:6.2f} CPU s per million, "
        f"{usage.wall_seconds:6.2f} s, {usage.peak_bytes / 2**20:6,.0f} MiB"
    )


def _figures_table(figures: Figures) -> Table:
    table = _table("What each way takes", "", "events", "CPU s / million", "wall s", "peak MiB")
    for size in (figures.small, figures.large):
        for way in _WAYS:
            cpu, wall = f"{figures.cpu(way, size):.2f}", f"{figures.wall(way, size):.2f}"
            table.add_row(way.name, f"{size:,}", cpu, wall, f"{figures.peak(way, size) / 2**20:,.0f}")
    return table


def _comparison(figures: Figures) -> Table:
    table = _table("Beside what is asked", "", "asked", f"{figures.small:,}", f"{figures.large:,}")

    def add(what: str, asked: str, reached: Callable[[float], bool], ratio: Callable[[int], float]) -> None:
        table.add_row(what, asked, *(_verdict(ratio(size), reached) for size in (figures.small, figures.large)))

    def at_most(what: str, limit: float, one: Way, other: Way) -> None:
        add(what, f"≤ {limit}", lambda it: it <= limit, lambda size: figures.cpu(one, size) / figures.cpu(other, size))

    def at_least(what: str, limit: float, one: Way, other: Way) -> None:
        add(what, f"≥ {limit}", lambda it: it >= limit, lambda size: figures.cpu(one, size) / figures.cpu(other, size))

    at_most("CPU b / a", 2.5, _LANDING, _LOOP)
    at_most("CPU b / a', the harsher", 2.5, _LANDING, _TUNED_LOOP)
    at_most("CPU b2 / a", 2.5, _LANDING_BY_TWO, _LOOP)
    at_least("CPU c / b", 4, _SKETCH, _LANDING)
    at_least("CPU c / b2", 4, _SKETCH, _LANDING_BY_TWO)
    add(
        f"wall b / b2, {cores()} cores for all",
        "≥ 1.5",
        lambda it: it >= 1.5,
        lambda size: figures.wall(_LANDING, size) / figures.wall(_LANDING_BY_TWO, size),
    )
    for name, way in (("b", _LANDING), ("b2", _LANDING_BY_TWO)):
        growth = figures.peak(way, figures.large) / figures.peak(way, figures.small)
        table.add_row(f"peak {name}, large / small day", "≤ 1.2", "", _verdict(growth, lambda it: it <= 1.2))
    return table


def _decoding_table(seconds: dict[str, list[float]]) -> Table:
    """The first kind is the one that the others are compared with."""
    table = _table("Decoding alone", "", "CPU s / million", "ratio", "asked")
    good, *bad = ((kind, median(runs)) for kind, runs in seconds.items())
    table.add_row(good[0], f"{good[1]:.2f}", "", "")
    for kind, cpu in bad:
        is_one = kind.startswith("one")
        asked = "about 1" if is_one else "≤ 3"
        ratio = f"{cpu / good[1]:.2f}" if is_one else _verdict(cpu / good[1], lambda it: it <= 3)
        table.add_row(kind, f"{cpu:.2f}", ratio, asked)
    return table


def _verdict(ratio: float, reached: Callable[[float], bool]) -> str:
    return f"{ratio:.2f} {'reached' if reached(ratio) else 'SHORT'}"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    return table


if __name__ == "__main__":
    main()
