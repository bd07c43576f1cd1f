"""The command line, `game-analytics demo | dev | stack | serve | prepare | produce | show | quarantine |
check-lake`. Each command parses its options and calls one function."""

import os
from datetime import date, datetime
from pathlib import Path

import click

from game_analytics.errors import GameAnalyticsError
from game_analytics.simulation.schedule import Simulation

# Dagster and boto3 take seconds to import, so each command imports what it needs when it runs.


class _Commands(click.Group):
    """Prints a `GameAnalyticsError` as its message, without a stack trace."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except GameAnalyticsError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="game-analytics")
def main() -> None:
    """Daily kill/death leaderboards of a battle royale game."""


@main.command()
def demo() -> None:
    """Run the whole pipeline for the last seven days in one process, leaving no files behind."""
    from game_analytics.local_stack.environment import without_settings

    # Before anything reads the environment: the demo must not use the services that this shell is set up for.
    alone = without_settings(os.environ)
    os.environ.clear()
    os.environ.update(alone)

    from game_analytics.cli.demo import run_demo
    from game_analytics.cli.terminal import console

    run_demo(console())


@main.command()
@click.option("--port", default=3000, show_default=True, help="Where the Dagster UI listens.")
@click.option("--s3-port", default=8333, show_default=True, help="Where the S3 server listens.")
@click.pass_context
def dev(ctx: click.Context, port: int, s3_port: int) -> None:
    """Run the Dagster UI with schedule and sensor, on an S3 server that keeps its files in .local/."""
    from game_analytics.defs.abandoned_runs import close_abandoned_runs
    from game_analytics.local_stack.dev import DevSettings, run_dev
    from game_analytics.settings import read_settings

    here = Path.cwd()
    workspace = here / "workspace.yaml"
    if not workspace.exists():
        raise GameAnalyticsError(f"There is no workspace.yaml in {here}. Go to the project's folder first.")
    settings = DevSettings(
        directory=here / ".local",
        workspace=workspace,
        bucket=read_settings().bucket,
        ui_port=port,
        s3_port=s3_port,
        close_abandoned_runs=close_abandoned_runs,
    )
    ctx.exit(run_dev(settings))


@main.command()
@click.option("--port", default=3000, show_default=True, help="Where the Dagster UI listens.")
@click.option("--s3-port", default=8333, show_default=True, help="Where the S3 server listens.")
@click.option("--kafka-port", default=9092, show_default=True, help="Where Kafka listens.")
@click.option("--postgres-port", default=15432, show_default=True, help="Where PostgreSQL listens.")
@click.option("--code-port", default=4000, show_default=True, help="Where the code location listens.")
@click.option("--demo", is_flag=True, help="Publish simulated matches of the last seven days, and more as they happen.")
def stack(*, port: int, s3_port: int, kafka_port: int, postgres_port: int, code_port: int, demo: bool) -> None:
    """Run the services of `docker compose up` as processes of this machine, with files in .local/stack/.

    Needs Java 17, Maven and PostgreSQL (on Debian: openjdk-17-jre-headless, maven, postgresql).
    """
    from game_analytics.local_stack.stack import StackSettings, run_stack
    from game_analytics.settings import read_settings

    here = Path.cwd()
    settings = StackSettings(
        directory=here / ".local" / "stack",
        deployment=here / "deploy",
        bucket=read_settings().bucket,
        ui_port=port,
        s3_port=s3_port,
        kafka_port=kafka_port,
        postgres_port=postgres_port,
        code_port=code_port,
        with_demo=demo,
    )
    run_stack(settings)


@main.command()
@click.option(
    "--partitions",
    type=click.IntRange(1),
    default=Simulation.partitions,
    show_default=True,
    help="Partitions of a new topic.",
)
@click.option(
    "--wait-seconds",
    type=click.IntRange(0),
    default=60,
    show_default=True,
    help="How long servers may take to answer, in total.",
)
def prepare(partitions: int, wait_seconds: int) -> None:
    """Create the bucket and the Kafka topic that the environment names, if they are missing.

    Existing ones are not changed. A topic that is created keeps its messages for ever. If a database is named, it must
    exist and accept connections.
    """
    from game_analytics.cli.prepare import prepare
    from game_analytics.cli.terminal import console

    prepare(console(), partitions=partitions, wait_seconds=wait_seconds)


@main.command()
@click.option("--bootstrap-servers", required=True, metavar="HOST:PORT,…", help="Where the cluster is reached.")
@click.option("--topic", default="game-events", show_default=True, help="Where the messages go.")
@click.option(
    "--day",
    type=click.DateTime(formats=["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="A UTC day that has been over for an hour.",
)
@click.option(
    "--follow",
    is_flag=True,
    help="Instead of one day, publish the last days, then today as it happens, until stopped. Restarted, it resumes.",
)
@click.option("--days", type=click.IntRange(0), help="Whole days before today that --follow begins with (default 7).")
@click.option("--events", default=Simulation.events_per_day, show_default=True, help="Messages per day.")
@click.option("--create-topic", is_flag=True, help="Create the topic if it is missing, without expiry.")
@click.option(
    "--partitions",
    type=int,
    help=f"Partitions of a topic that is created (default {Simulation.partitions}).",
)
@click.option("--seed", default=Simulation.seed, show_default=True, help="Another seed gives other players.")
@click.option(
    "--malformed-share",
    default=Simulation.malformed_share,
    show_default=True,
    help="Share of messages that can't be read.",
)
@click.option(
    "--repeated-share", default=Simulation.repeated_share, show_default=True, help="Share of messages delivered twice."
)
@click.option(
    "--late-share",
    default=Simulation.late_share,
    show_default=True,
    help="Share of messages that arrive minutes to hours late, or carry a time ahead of the real one.",
)
@click.option(
    "--config-file", type=click.Path(path_type=Path), help="Properties of librdkafka as name=value lines: SASL, TLS."
)
def produce(  # noqa: PLR0913 - one for each option
    *,
    bootstrap_servers: str,
    topic: str,
    day: datetime | None,
    follow: bool,
    days: int | None,
    events: int,
    create_topic: bool,
    partitions: int | None,
    seed: int,
    malformed_share: float,
    repeated_share: float,
    late_share: float,
    config_file: Path | None,
) -> None:
    """Publish simulated matches to a Kafka topic, of one day or as they happen: the same messages that the in-memory
    event log has.

    Days must be published in order, each once. The cluster must be given here and is never taken from the environment,
    so that simulated events don't reach the topic that a pipeline reads real ones from.
    """
    if follow == (day is not None):
        raise click.UsageError(
            "Only one of '--day' and '--follow'." if follow else "Missing option '--day', or '--follow'."
        )
    if days is not None and not follow:
        raise click.UsageError("'--days' is for '--follow' alone.")

    from game_analytics.cli.terminal import console
    from game_analytics.local_stack.stop_signal import stop_signals
    from game_analytics.simulation.publish_day import produce_day
    from game_analytics.simulation.publish_live import Pace, follow_matches
    from game_analytics.sources.kafka.client import OPTIONS, KafkaSettings

    simulation = Simulation(
        seed=seed,
        events_per_day=events,
        malformed_share=malformed_share,
        repeated_share=repeated_share,
        late_share=late_share,
    )
    target = KafkaSettings.with_file(bootstrap_servers, topic, config_file, OPTIONS)
    if day is not None:
        produce_day(console(), target, day.date(), simulation, partitions=partitions, create=create_topic)
        return
    with stop_signals() as stop:
        pace = Pace(stopped=stop.was_asked)
        days = 7 if days is None else days
        follow_matches(console(), target, simulation, days=days, partitions=partitions, create=create_topic, pace=pace)


@main.command()
@click.argument("day", type=click.DateTime(formats=["%Y-%m-%d"]), metavar="DAY")
@click.option("--player", metavar="ID", help="This player's row, with rank and neighbours.")
def show(day: datetime, player: str | None) -> None:
    """Print the published board of DAY (YYYY-MM-DD), or one player's row computed from the day's stats."""
    from game_analytics.cli.show import show_board, show_player
    from game_analytics.cli.terminal import console

    chosen: date = day.date()
    if player is None:
        show_board(console(), chosen)
    else:
        show_player(console(), chosen, player)


@main.command()
@click.argument("day", type=click.DateTime(formats=["%Y-%m-%d"]), metavar="DAY")
@click.option("--samples", type=click.IntRange(0, 1_000), default=3, show_default=True, help="Messages per reason.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with whole values.")
@click.option(
    "--all",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write all values as they were received to FILE, each followed by a line feed, instead of listing them.",
)
def quarantine(day: datetime, samples: int, path: Path | None, *, as_json: bool) -> None:
    """List the messages of DAY (YYYY-MM-DD) that could not be read: reasons, what was expected, counts and samples."""
    from game_analytics.cli.quarantine import show_quarantine, write_quarantine
    from game_analytics.cli.terminal import console

    if path is not None and as_json:
        raise click.UsageError("--all writes values as they are, and --json prints JSON: use one of the two.")
    if path is None:
        show_quarantine(console(), day.date(), samples, as_json=as_json)
    else:
        write_quarantine(console(), day.date(), path)


@main.command("check-lake")
@click.pass_context
def check_lake(ctx: click.Context) -> None:
    """Try whether the S3 server that the environment names keeps what the pipeline relies on; exit with 1 if not.

    Writes some objects below raw/check-lake/ in the bucket, and removes them.
    """
    from game_analytics.cli.check_lake import show_check
    from game_analytics.cli.terminal import console

    ctx.exit(0 if show_check(console()) else 1)


@main.command()
@click.argument("service", type=click.Choice(["code", "webserver", "daemon"]))
def serve(service: str) -> None:
    """Run one SERVICE of a deployment, once the services it needs are up. See docs/operations.md."""
    from game_analytics.cli.serve import serve as run_service

    run_service(service)
