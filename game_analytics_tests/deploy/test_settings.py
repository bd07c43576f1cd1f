"""Dagster's own settings in the deployment, loaded by Dagster itself: what they mean in the environment of compose."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.storage.config import pg_config
from dagster._core.workspace.load import location_origins_from_yaml_paths
from dagster_aws.s3.compute_log_manager import S3ComputeLogManager
from dagster_postgres.utils import pg_url_from_config

from game_analytics.defs.run_launcher import WatchedRunLauncher
from game_analytics.local_stack.environment import without_settings
from game_analytics_tests.support.deployment import DAGSTER, FOLDER, environment_of


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the code location in compose, and of nobody else."""
    monkeypatch.setattr(os, "environ", without_settings(os.environ) | environment_of("code"))


@pytest.fixture
def settings() -> dict[str, Any]:
    """As Dagster reads them, which it refuses to if it does not know one."""
    return dict(dagster_instance_config(str(FOLDER))[0])


def names_in(value: object) -> Iterator[str]:
    """All that is taken from the environment."""
    if isinstance(value, dict):
        if set(value) == {"env"}:
            yield cast("str", value["env"])
        for part in value.values():
            yield from names_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from names_in(part)


@pytest.mark.parametrize("file", ["dagster.yaml", "workspace.yaml"])
@pytest.mark.parametrize("service", DAGSTER)
def test_every_variable_that_it_names_is_given_to_each_of_the_three_services(service: str, file: str) -> None:
    named = set(names_in(yaml.safe_load((FOLDER / file).read_text())))
    assert len(named) >= 2
    assert named <= environment_of(service).keys()


def test_a_setting_that_dagster_does_not_know_would_be_found(tmp_path: Path) -> None:
    text = (FOLDER / "dagster.yaml").read_text()
    (tmp_path / "dagster.yaml").write_text(text.replace("max_runtime_seconds", "max_run_time_seconds"))
    with pytest.raises(Exception, match="max_run_time_seconds"):
        dagster_instance_config(str(tmp_path))


def test_history_is_kept_in_the_database_of_compose_by_the_driver_that_is_installed(settings: dict[str, Any]) -> None:
    database = process_config(pg_config(), settings["storage"]["postgres"])
    assert database.value is not None
    assert pg_url_from_config(database.value) == (
        "postgresql+psycopg2://dagster:known-to-everybody@postgres:5432/dagster"
    )


def test_a_password_with_signs_of_a_url_in_it_does(monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]) -> None:
    monkeypatch.setitem(os.environ, "POSTGRES_PASSWORD", "p@ss:w#rd?")
    database = process_config(pg_config(), settings["storage"]["postgres"])
    assert database.value is not None
    assert "dagster:p%40ss%3Aw%23rd%3F@postgres:5432" in pg_url_from_config(database.value)


def test_logs_of_runs_go_to_the_bucket_of_the_lake_wherever_its_server_is() -> None:
    logs = InstanceRef.from_dir(str(FOLDER)).compute_log_manager
    assert isinstance(logs, S3ComputeLogManager)
    assert logs._s3_bucket == "game-analytics"
    assert logs._s3_prefix == "dagster/compute-logs"
    assert logs._s3_session.meta.endpoint_url == "http://s3:8333"
    assert logs.upload_interval == 30


def test_runs_wait_in_a_queue_and_backfills_leave_room(settings: dict[str, Any]) -> None:
    runs = settings["concurrency"]["runs"]
    assert runs["max_concurrent_runs"] == 4
    assert runs["tag_concurrency_limits"] == [{"key": "dagster/backfill", "limit": 2}]
    assert settings["run_queue"]["max_user_code_failure_retries"] > 0


def test_lost_runs_are_noticed_and_tried_once_more(settings: dict[str, Any]) -> None:
    assert settings["run_monitoring"]["enabled"] is True
    assert settings["run_monitoring"]["poll_interval_seconds"] <= 60
    assert settings["run_retries"] == {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False}
    assert isinstance(InstanceRef.from_dir(str(FOLDER)).run_launcher, WatchedRunLauncher)


@pytest.mark.parametrize("kind", ["sensor", "schedule"])
def test_ticks_are_not_kept_for_ever(settings: dict[str, Any], kind: str) -> None:
    kept = settings["retention"][kind]["purge_after_days"]
    assert kept.keys() == {"skipped", "failure", "success"}
    assert all(0 < days <= 365 for days in kept.values())


def test_dagster_neither_calls_home_nor_greets_newcomers(settings: dict[str, Any]) -> None:
    assert settings["telemetry"] == {"enabled": False}
    assert settings["nux"] == {"enabled": False}


def test_webserver_and_daemon_find_the_one_code_location_by_its_service() -> None:
    assert location_origins_from_yaml_paths([str(FOLDER / "workspace.yaml")]) == [
        GrpcServerCodeLocationOrigin(host="code", port=4000, location_name="game_analytics")
    ]
