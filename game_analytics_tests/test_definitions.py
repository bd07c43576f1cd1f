"""The definitions load without a server, by every way that a user has, and say what is wrong with a setting."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import dagster as dg
import pytest

from game_analytics.definitions import defs
from game_analytics_tests.support.forked import COMMAND, DAGSTER, run_python
from game_analytics_tests.support.listed_assets import unlisted

PROJECT = Path(__file__).parent.parent


MATERIALIZE = ("asset", "materialize", "-m", "game_analytics.definitions")


def run(code: str, *arguments: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Python code in the project's folder, with no settings but these; ``given`` is its standard input."""
    return run_python(code, *arguments, environment={**CLEAN, **environment}, folder=PROJECT, given=given)


CLEAN = {
    "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
    "HOME": "/nonexistent",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def test_the_graph_is_whole() -> None:
    graph = defs.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {
        "raw_events",
        "daily_player_stats",
        "top10_leaderboard",
    }
    assert graph.get(dg.AssetKey("top10_leaderboard")).parent_keys == {dg.AssetKey("daily_player_stats")}
    assert graph.get(dg.AssetKey("daily_player_stats")).parent_keys == {dg.AssetKey("raw_events")}
    assert {sensor.name for sensor in defs.sensors or []} == {
        "new_landing",
        "new_stats_file",
        "late_events",
        "alert_on_failure",
        "alert_on_checks",
    }
    assert [schedule.name for schedule in defs.schedules or []] == ["daily_stats", "freshness"]


def test_an_asset_that_is_not_in_the_graph_is_named_once_with_what_to_do() -> None:
    @dg.asset
    def foo() -> None: ...

    file, importer = ModuleType("game_analytics.defs.assets.foo"), ModuleType("game_analytics.defs.assets.bar")
    file.foo = importer.foo = foo  # type: ignore[attr-defined]
    [sentence] = unlisted([file, importer], defs)
    assert sentence.startswith("game_analytics.defs.assets.foo has the asset foo, which is not in the graph: import it")


@pytest.mark.parametrize("asset", ["raw_events", "daily_player_stats", "top10_leaderboard"])
def test_each_asset_says_what_it_is(asset: str) -> None:
    spec = defs.resolve_asset_graph().get(dg.AssetKey(asset))
    assert spec.description
    assert spec.owners == ["team:game-analytics"]
    assert {"s3", "parquet"} < spec.kinds
    assert spec.metadata["dagster/uri"].startswith("s3://game-analytics/")
    assert len(spec.metadata["dagster/column_schema"].columns) >= 3
    assert all(column.description for column in spec.metadata["dagster/column_schema"].columns)


def test_no_check_is_blocking() -> None:
    """One would stop nothing: a step begins as soon as the steps before it have yielded their output."""
    graph = defs.resolve_asset_graph()
    blocking = {key.name: graph.get_check_spec(key).blocking for key in graph.asset_check_keys}
    assert len(blocking) >= 8
    assert [name for name, is_blocking in blocking.items() if is_blocking] == []


def test_importing_them_warns_of_nothing_and_needs_no_environment() -> None:
    done = run("import game_analytics.definitions")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_setting_that_is_no_number_is_named() -> None:
    done = run("import game_analytics.definitions", GAME_ANALYTICS_LATENESS_MINUTES="an hour")
    assert done.returncode == 1
    assert "GAME_ANALYTICS_LATENESS_MINUTES is 'an hour'" in done.stderr


SHOW_SETTINGS = """
from game_analytics.definitions import defs
log, settings = defs.resources["event_log"], defs.resources["settings"]
print(type(log).__name__)
for name in ("bootstrap_servers", "topic", "config_file", "patience_seconds"):
    print(getattr(log, name, "-"))
print(settings.workers, settings.slice_messages)
"""


def shown(**environment: str) -> list[str]:
    """The kind of event log with its settings, and how it is landed, as the definitions have them."""
    done = run(SHOW_SETTINGS, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_without_a_cluster_the_events_are_simulated() -> None:
    simulated = ["MemoryEventLogResource", "-", "-", "-", "-", "0 250000"]
    assert shown(KAFKA_BOOTSTRAP_SERVERS=" ", KAFKA_TOPIC=" ", GAME_ANALYTICS_WORKERS=" ") == simulated


@pytest.mark.parametrize(
    ("name", "value"), [("KAFKA_BOOTSTRAP_SERVERS", "kafka://kafka.invalid:9092"), ("KAFKA_TOPIC", "kills,deaths")]
)
def test_a_url_for_servers_and_a_list_for_a_topic_are_named_when_settings_are_read(name: str, value: str) -> None:
    done = run(LOAD_WITH, given=f"{name}={value}\n")
    assert done.stdout.startswith(f"{name} ")
    assert f" {value!r}; " in done.stdout


@pytest.mark.parametrize("name", ["KAFKA_TOPIC", "KAFKA_CONFIG_FILE"])
def test_a_topic_without_a_cluster_is_no_reason_to_simulate(name: str) -> None:
    done = run("import game_analytics.definitions", **{name: "matches"})
    assert done.returncode == 1
    assert "KAFKA_BOOTSTRAP_SERVERS is not" in done.stderr


def test_a_cluster_alone_is_enough_and_the_rest_has_the_contracts_defaults() -> None:
    assert shown(KAFKA_BOOTSTRAP_SERVERS="kafka.invalid:9092", KAFKA_TOPIC="") == [
        "KafkaEventLogResource",
        "kafka.invalid:9092",
        "game-events",
        "None",
        "120",
        "0 250000",
    ]


def test_the_environment_names_cluster_topic_file_and_how_a_day_is_landed() -> None:
    """Neither the servers are asked nor the file is read: there are none."""
    assert shown(
        KAFKA_BOOTSTRAP_SERVERS=" one.invalid:1,two.invalid:2 ",
        KAFKA_TOPIC="matches",
        KAFKA_CONFIG_FILE="/nonexistent/kafka.properties",
        GAME_ANALYTICS_KAFKA_PATIENCE_SECONDS="1",
        GAME_ANALYTICS_WORKERS="7",
        GAME_ANALYTICS_SLICE_MESSAGES="1000",
    ) == [
        "KafkaEventLogResource",
        "one.invalid:1,two.invalid:2",
        "matches",
        "/nonexistent/kafka.properties",
        "1",
        "7 1000",
    ]


LOAD_WITH = """
import os, sys
from game_analytics.settings import read_settings
from game_analytics.errors import GameAnalyticsError
os.environ["KAFKA_BOOTSTRAP_SERVERS"] = "kafka.invalid:9092"
for line in sys.stdin:
    name, _, value = line.rstrip("\\n").partition("=")
    os.environ[name] = value
    try:
        read_settings()
    except GameAnalyticsError as error:
        print(error)
    del os.environ[name]
"""


OUT_OF_BOUNDS = {
    "GAME_ANALYTICS_WORKERS": ("0 to 1,000", ["-1", "1001", "two", "1.5"]),
    "GAME_ANALYTICS_SLICE_MESSAGES": ("1,000 to 2,000,000", ["999", "0", "2000001", "1e6"]),
    "GAME_ANALYTICS_KAFKA_PATIENCE_SECONDS": ("1 to 86,400", ["0", "86401", "2m"]),
}


def test_a_number_out_of_bounds_is_named_with_its_bounds() -> None:
    wrong = [(name, value) for name, (_, values) in OUT_OF_BOUNDS.items() for value in values]
    done = run(LOAD_WITH, given="".join(f"{name}={value}\n" for name, value in wrong))
    assert done.stdout.splitlines() == [
        f"{name} is {value!r}; a whole number from {OUT_OF_BOUNDS[name][0]} is expected." for name, value in wrong
    ]


def test_a_run_names_the_file_that_is_not_there() -> None:
    done = run(
        DAGSTER,
        *MATERIALIZE,
        "--select",
        "raw_events",
        "--partition",
        "2025-12-30",
        KAFKA_BOOTSTRAP_SERVERS="kafka.invalid:9092",
        KAFKA_CONFIG_FILE="/nonexistent/kafka.properties",
    )
    assert done.returncode == 1
    assert "The file of Kafka properties, /nonexistent/kafka.properties, can't be read: No such file" in done.stderr


def test_the_bucket_is_named_by_the_environment() -> None:
    show_uri = (
        "from game_analytics.definitions import defs; import dagster as dg; "
        "print(defs.resolve_asset_graph().get(dg.AssetKey('raw_events')).metadata['dagster/uri'])"
    )
    done = run(show_uri, GAME_ANALYTICS_BUCKET="another")
    assert done.stdout == "s3://another/raw/YYYY_MM_DD/\n"


def test_without_endpoint_and_credentials_a_command_says_what_to_do_at_once() -> None:
    done = run(DAGSTER, *MATERIALIZE, "--select", "raw_events", "--partition", "2025-12-30")
    assert done.returncode == 1
    assert "No AWS credentials were found for s3://game-analytics" in done.stderr
    assert "source .local/env" in done.stderr


def test_a_partition_that_does_not_exist_is_refused() -> None:
    done = run(DAGSTER, *MATERIALIZE, "--select", "raw_events", "--partition", "2025-02-30")
    assert done.returncode == 1
    assert "2025-02-30" in done.stderr


def test_show_without_a_lake_says_what_to_do_in_one_line() -> None:
    done = run(COMMAND, "show", "2025-12-30")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: No AWS credentials were found")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.trial
def test_dg_finds_the_definitions_too() -> None:
    dg_command = Path(sys.executable).with_name("dg")
    environment = {**CLEAN, "HOME": os.environ.get("TMPDIR", "/tmp")}  # noqa: S108 - dg wants a home
    done = subprocess.run(  # noqa: S603 - our own command
        [dg_command, "list", "defs", "--json"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "top10_leaderboard" in done.stdout


SHOW_ALL_THAT_THE_UI_KNOWS = """
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster_shared.serdes import serialize_value
from game_analytics.definitions import defs
print(serialize_value(RepositorySnap.from_def(defs.get_repository_def())))
"""


def test_the_ui_is_told_the_name_of_the_webhook_and_not_its_address() -> None:
    done = run(
        SHOW_ALL_THAT_THE_UI_KNOWS,
        GAME_ANALYTICS_ALERT_WEBHOOK="https://hooks.example.org/services/hush-hush",
        GAME_ANALYTICS_UI_URL="https://dagster.example.org",
    )
    assert done.returncode == 0, done.stderr
    assert "GAME_ANALYTICS_ALERT_WEBHOOK" in done.stdout
    assert "https://dagster.example.org" in done.stdout
    assert "hush" not in done.stdout + done.stderr


SHOW_WATCH = """
from game_analytics.definitions import defs
settings = defs.resources["settings"]
print(settings.volume_percent, settings.quarantine_percent, defs.resources["alerts"].webhook)
"""


def test_what_the_watch_tolerates_is_set_by_the_environment() -> None:
    unset = run(SHOW_WATCH)
    assert unset.stdout.split() == ["50", "1", "None"], unset.stderr
    done = run(
        SHOW_WATCH,
        GAME_ANALYTICS_VOLUME_PERCENT="30",
        GAME_ANALYTICS_QUARANTINE_PERCENT="5",
        GAME_ANALYTICS_ALERT_WEBHOOK=" ",
    )
    assert done.stdout.split() == ["30", "5", "None"], done.stderr
