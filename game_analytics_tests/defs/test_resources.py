"""The resources: settings reach every client, and unset ones come from the AWS SDK."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from dagster_aws.s3 import S3Resource

from game_analytics.defs.resources import AlertsResource, EventLogResource, LakeResource, PipelineSettings
from game_analytics.lake.bucket import Lake
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.sources.event_log import EventLog
from game_analytics_tests.support.answering_s3 import (
    LISTED,
    SECRETS,
    AnsweringS3,
    Asked,
    answering,
    closed_port,
    resource_at,
    s3_error,
)
from game_analytics_tests.support.listed_log import ListedLog

SCHEMA = pl.Schema({"number": pl.Int64})


@pytest.fixture
def server() -> Iterator[AnsweringS3]:
    """A server that lets a lake be opened and refuses everything after that."""
    with answering(LISTED, s3_error(403, "AccessDenied")) as answers:
        yield answers


def signed_for(asked: Asked) -> tuple[str, str]:
    """The access key and the region that a request was signed with."""
    signed = re.search(r"Credential=([^/]+)/\d+/([^/]+)/s3/", asked.headers["authorization"])
    assert signed is not None
    return signed[1], signed[2]


def ask_by_boto3(lake: Lake) -> None:
    lake.get("key")


def ask_by_polars(lake: Lake) -> None:
    lake.scan_parquet(["key"], SCHEMA).collect()


def ask_by_a_download(lake: Lake) -> None:
    lake.download("key", Path("nowhere"))


@pytest.mark.timeout(30)
@pytest.mark.parametrize("ask", [ask_by_boto3, ask_by_polars, ask_by_a_download])
def test_one_set_of_credentials_serves_boto3_polars_and_what_duckdb_reads(
    server: AnsweringS3, ask: Callable[[Lake], None]
) -> None:
    lake = resource_at(server.url).open()
    opened = len(server.asked)
    with pytest.raises(Exception, match=r"refuses access|privileges"):
        ask(lake)
    asked = server.asked[opened:]
    assert asked != []
    assert {request.path for request in asked} == {"/game-analytics/key"}
    assert {signed_for(request) for request in asked} == {("AKIAEXAMPLE", "eu-central-1")}
    assert {request.headers.get("x-amz-security-token") for request in asked} == {SECRETS[1]}


def test_a_request_is_made_as_often_as_is_configured() -> None:
    for attempts in (1, 2):
        with answering(s3_error(503, "SlowDown")) as busy:
            with pytest.raises(Exception, match="SlowDown"):
                resource_at(busy.url, max_attempts=attempts).open()
            assert len(busy.asked) == attempts


def test_a_lake_uses_its_configured_endpoint(s3: S3Endpoint, lake_on_s3: LakeResource) -> None:
    lake = lake_on_s3.open()
    assert (lake.endpoint, lake.bucket) == (s3.url, lake_on_s3.bucket)


def test_a_lake_is_configured_without_a_request() -> None:
    definitions = dg.Definitions(resources={"lake": resource_at(closed_port())})
    dg.Definitions.validate_loadable(definitions)


@dg.asset
def one_step(lake: LakeResource) -> None:
    lake.open()


@dg.asset(deps=[one_step])
def the_next_step(lake: LakeResource) -> None:
    lake.open()


OPENERS = [one_step, the_next_step]


def hands_out_new_keys(folder: Path) -> Path:
    """An AWS profile that returns new credentials at each request, like short-lived ones."""
    program = folder / "credentials.py"
    program.write_text(
        "import json, pathlib\n"
        f"asked = pathlib.Path({str(folder / 'asked')!r})\n"
        "asked.write_text((asked.read_text() if asked.exists() else '') + '.')\n"
        "key = f'AKIANUMBER{len(asked.read_text())}'\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': key, 'SecretAccessKey': 'secret'}))\n"
    )
    config = folder / "config"
    config.write_text(f"[profile short-lived]\nregion = eu-west-3\ncredential_process = {sys.executable} {program}\n")
    return config


def test_a_profile_supplies_credentials_once_per_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(hands_out_new_keys(tmp_path)))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with answering(LISTED) as server:
        resource = LakeResource(
            bucket="game-analytics", s3=S3Resource(endpoint_url=server.url, profile_name="short-lived")
        )
        for _ in range(2):
            assert dg.materialize(OPENERS, resources={"lake": resource}).success
    assert [signed_for(asked) for asked in server.asked] == [("AKIANUMBER1", "eu-west-3"), ("AKIANUMBER2", "eu-west-3")]


def test_what_is_not_configured_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(LISTED) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFROMOUTSIDE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "sa-east-1")
        lake = LakeResource(bucket="game-analytics", s3=S3Resource()).open()
    assert [signed_for(asked) for asked in server.asked] == [("AKIAFROMOUTSIDE", "sa-east-1")]
    assert lake.endpoint == server.url
    assert lake.is_local


class ListedLogResource(EventLogResource):
    """A further source of events."""

    def open(self) -> EventLog:
        return ListedLog({0: []})


def test_a_source_of_events_is_a_resource_that_opens_a_log() -> None:
    assert not ListedLogResource().open().simulated
    with pytest.raises(TypeError, match="abstract"):
        EventLogResource()  # type: ignore[abstract]


def test_the_settings_have_the_contracts_defaults() -> None:
    settings = PipelineSettings()
    assert (settings.lateness_minutes, settings.min_engagements, settings.simulate_anywhere) == (60, 0, False)


def test_a_negative_setting_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"lateness_minutes\n.*greater than or equal to 0"):
        PipelineSettings(lateness_minutes=-1)
    with pytest.raises(ValueError, match=r"min_engagements\n.*greater than or equal to 0"):
        PipelineSettings(min_engagements=-1)


def test_no_secret_is_shown_with_a_resource() -> None:
    secret, token = SECRETS
    alerts = AlertsResource(webhook="https://hooks.example.org/services/hush-hush/webhook")
    shown = repr(resource_at("http://127.0.0.1:1")) + repr(alerts) + str(alerts)
    assert not any(each in shown for each in (secret, token, "hush"))
