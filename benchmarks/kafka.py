"""`make bench-kafka`: landing a day from a real Kafka, compared with a bare loop and with the original sketch.

Starts a broker and an S3 server in a temporary folder, publishes a small and a large day, and measures each program in
a process of its own, all in turn in every run. Every printed figure is the median of its runs.
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

_FULL_DAY = 1_000_000
_LARGE = 5
"""The large day has this many times the events of the small one."""


@dataclass(frozen=True)
class Program:
    """A program that reads a whole topic."""

    name: str
    module: str
    argument: str = ""


_LOOP = Program("a   bare loop, defaults", "benchmarks.bare_loop", "defaults")
_TUNED_LOOP = Program("a'  bare loop, tuned", "benchmarks.bare_loop", "as-landing")
_LANDING = Program("b   landing, 1 process", "benchmarks.landing", "1")
_LANDING_BY_TWO = Program("b2  landing, 2 processes", "benchmarks.landing", "2")
_SKETCH = Program("c   the sketch", "benchmarks.sketch")
_PROGRAMS = (_LOOP, _TUNED_LOOP, _LANDING, _LANDING_BY_TWO, _SKETCH)

_NOTES = """\
CPU: user and system seconds of the measured process, its threads and its children; without broker and S3 server.
Wall: broker and S3 server share the cores with the program. The goal for b / b2 is for a broker on its own cores.
Peak: resident memory; for several processes the sum of their peaks, which is an upper bound.
a: consume(10000) with default settings. a': consume(200) with the client settings of landing.
c: reads the whole day and skips the 0.2 % of messages that cannot be read; the sketch itself would have stopped at
   10,000 messages, or failed at the first bad one."""


class Figures:
    """The runs of each program at each size, and their medians."""

    def __init__(self, small: int, large: int) -> None:
        self.small, self.large = small, large
        self._runs: dict[tuple[Program, int], list[Usage]] = {}

    def add(self, program: Program, size: int, usage: Usage) -> None:
        self._runs.setdefault((program, size), []).append(usage)

    def cpu(self, program: Program, size: int) -> float:
        """CPU seconds per million messages."""
        return median(usage.cpu_per_million for usage in self._runs[program, size])

    def wall(self, program: Program, size: int) -> float:
        """Seconds."""
        return median(usage.wall_seconds for usage in self._runs[program, size])

    def peak(self, program: Program, size: int) -> float:
        """Bytes."""
        return median(usage.peak_bytes for usage in self._runs[program, size])


@click.command()
@click.option(
    "--events",
    default=_FULL_DAY,
    show_default=True,
    help=f"In the small day; the large one has {_LARGE} times as many.",
)
@click.option("--runs", default=3, show_default=True, type=click.IntRange(1), help="Of each program at each size.")
def main(events: int, runs: int) -> None:
    """Measure landing from a real Kafka, and print how it compares with its goals."""
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
    if events < _FULL_DAY:
        console.print(f"The goals are for a day of {_FULL_DAY:,} events. With fewer, starting takes most of the time.")


def _measure(console: Console, figures: Figures, runs: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="bench-kafka-") as folder,
        Broker(find_kafka(), Path(folder) / "kafka") as broker,
        s3_server(Path(folder) / "s3") as s3,
    ):
        ends = {size: _published(broker, size) for size in (figures.small, figures.large)}
        for run in range(1, runs + 1):
            for size, topic_ends in ends.items():
                for number, program in enumerate(_PROGRAMS):
                    bucket = f"run-{run}-{size}-{number}"
                    make_bucket(s3.endpoint, bucket)
                    job = _job(broker, s3.endpoint, _topic(size), topic_ends, bucket)
                    usage = run_job(program.module, [program.argument], job)
                    figures.add(program, size, usage)
                    console.print(f"  run {run} of {runs}  {_line(program, size, usage)}", soft_wrap=True)


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


def _line(program: Program, size: int, usage: Usage) -> str:
    return (
        f"{size:>9,} events  {program.name:<26}{usage.cpu_per_million:6.2f} CPU s per million, "
        f"{usage.wall_seconds:6.2f} s, {usage.peak_bytes / 2**20:6,.0f} MiB"
    )


def _figures_table(figures: Figures) -> Table:
    table = _table("What each program takes", "", "events", "CPU s / million", "wall s", "peak MiB")
    for size in (figures.small, figures.large):
        for program in _PROGRAMS:
            cpu, wall = f"{figures.cpu(program, size):.2f}", f"{figures.wall(program, size):.2f}"
            table.add_row(program.name, f"{size:,}", cpu, wall, f"{figures.peak(program, size) / 2**20:,.0f}")
    return table


def _comparison(figures: Figures) -> Table:
    table = _table("Compared with the goals", "", "goal", f"{figures.small:,}", f"{figures.large:,}")

    def add(what: str, goal: str, reached: Callable[[float], bool], ratio: Callable[[int], float]) -> None:
        table.add_row(what, goal, *(_verdict(ratio(size), reached) for size in (figures.small, figures.large)))

    def at_most(what: str, limit: float, one: Program, other: Program) -> None:
        add(what, f"≤ {limit}", lambda it: it <= limit, lambda size: figures.cpu(one, size) / figures.cpu(other, size))

    def at_least(what: str, limit: float, one: Program, other: Program) -> None:
        add(what, f"≥ {limit}", lambda it: it >= limit, lambda size: figures.cpu(one, size) / figures.cpu(other, size))

    at_most("CPU b / a", 2.5, _LANDING, _LOOP)
    at_most("CPU b / a', the stricter", 2.5, _LANDING, _TUNED_LOOP)
    at_most("CPU b2 / a", 2.5, _LANDING_BY_TWO, _LOOP)
    at_least("CPU c / b", 4, _SKETCH, _LANDING)
    at_least("CPU c / b2", 4, _SKETCH, _LANDING_BY_TWO)
    add(
        f"wall b / b2, {cores()} cores for all",
        "≥ 1.5",
        lambda it: it >= 1.5,
        lambda size: figures.wall(_LANDING, size) / figures.wall(_LANDING_BY_TWO, size),
    )
    for name, program in (("b", _LANDING), ("b2", _LANDING_BY_TWO)):
        growth = figures.peak(program, figures.large) / figures.peak(program, figures.small)
        table.add_row(f"peak {name}, large / small day", "≤ 1.2", "", _verdict(growth, lambda it: it <= 1.2))
    return table


def _decoding_table(seconds: dict[str, list[float]]) -> Table:
    """Compares all kinds with the first one."""
    table = _table("Decoding alone", "", "CPU s / million", "ratio", "goal")
    good, *bad = ((kind, median(runs)) for kind, runs in seconds.items())
    table.add_row(good[0], f"{good[1]:.2f}", "", "")
    for kind, cpu in bad:
        is_one = kind.startswith("one")
        goal = "about 1" if is_one else "≤ 3"
        ratio = f"{cpu / good[1]:.2f}" if is_one else _verdict(cpu / good[1], lambda it: it <= 3)
        table.add_row(kind, f"{cpu:.2f}", ratio, goal)
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
