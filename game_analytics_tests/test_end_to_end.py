"""The real thing, from outside: `game-analytics dev` with its webserver, daemon and code server as processes, used
over GraphQL and by a file dropped into the lake."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dagster_aws.s3 import S3Resource

from game_analytics.defs.resources import LakeResource
from game_analytics.lake.bucket import Lake
from game_analytics.local_stack.ports import free_ports
from game_analytics_tests.support.harness import foreign_stats, parquet
from game_analytics_tests.support.processes import eventually

pytestmark = pytest.mark.real

PROJECT = Path(__file__).parent.parent

LAUNCH = """
mutation Launch($selector: JobOrPipelineSelector!, $day: String!) {
  launchPipelineExecution(executionParams: {
    selector: $selector, mode: "default",
    executionMetadata: {tags: [{key: "dagster/partition", value: $day}]}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""

BACKFILL = """
mutation Backfill($assets: [AssetKeyInput!]!, $days: [String!]!) {
  launchPartitionBackfill(backfillParams: {assetSelection: $assets, partitionNames: $days, fromFailure: false}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""

BACKFILLED = """
query Backfilled($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
  status
  runs(limit: 10) { status }
  assetBackfillData { assetBackfillStatuses { ... on AssetPartitionsStatusCounts {
    assetKey { path } numPartitionsMaterialized numPartitionsFailed
  } } }
} } }
"""

ASSETS = ("raw_events", "daily_player_stats", "top10_leaderboard")


@dataclass(frozen=True)
class Stack:
    """A running `game-analytics dev`."""

    folder: Path
    ui: str

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.ui}/graphql", data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)["data"]

    def shell(self, command: str) -> str:
        """What another shell gets that has sourced the stack's file and knows nothing else."""
        done = subprocess.run(  # noqa: S603
            ["/bin/bash", "-c", f"source .local/env; {command}"],
            cwd=self.folder,
            env={"PATH": os.defpath, "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    def lake(self) -> Lake:
        names = [
            "AWS_ENDPOINT_URL",
            "AWS_REGION",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "GAME_ANALYTICS_BUCKET",
        ]
        url, region, key_id, secret, bucket = self.shell("; ".join(f"echo ${name}" for name in names)).splitlines()
        s3 = S3Resource(endpoint_url=url, region_name=region, aws_access_key_id=key_id, aws_secret_access_key=secret)
        return LakeResource(bucket=bucket, s3=s3).open()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    shutil.copy(PROJECT / "workspace.yaml", tmp_path)
    ui_port, s3_port = free_ports(2)
    log = tmp_path / "dev.log"
    with log.open("wb") as output:
        dev = subprocess.Popen(  # noqa: S603
            [Path(sys.executable).parent / "game-analytics", "dev", f"--port={ui_port}", f"--s3-port={s3_port}"],
            cwd=tmp_path,
            env={"PATH": os.defpath, "HOME": str(tmp_path)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        eventually(lambda: "To stop" in log.read_text() or dev.poll() is not None, "it is ready", log.read_text, 90)
        assert dev.poll() is None, log.read_text()
        yield Stack(tmp_path, f"http://127.0.0.1:{ui_port}")
    finally:
        dev.send_signal(signal.SIGTERM)
        dev.wait(timeout=60)
    assert dev.returncode == 0, log.read_text()


def test_a_day_by_graphql_and_a_file_from_outside_both_get_their_board(stack: Stack) -> None:
    lake = stack.lake()
    selector = {
        "repositoryLocationName": "game_analytics",
        "repositoryName": "__repository__",
        "pipelineName": "daily_stats_job",
    }
    lake.put("events/2024_02_29_events.parquet", parquet(foreign_stats(ann=(7, 2), bob=(3, 1))))
    launched = stack.ask(LAUNCH, selector=selector, day="2025-12-30")["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched

    by_the_sensor = ["leaderboard/2024_02_29_top10.parquet", "leaderboard/2025_12_30_top10.parquet"]
    eventually(
        lambda: [found.key for found in lake.listing("leaderboard/")] == by_the_sensor, "both have a board", seconds=90
    )

    dropped = lake.get(by_the_sensor[0])
    assert dropped is not None
    assert pl.read_parquet(io.BytesIO(dropped.body)).rows() == [(1, "ann", 7, 2, 3.5), (2, "bob", 3, 1, 3.0)]
    simulated = lake.get(by_the_sensor[1])
    assert simulated is not None
    assert pl.read_parquet(io.BytesIO(simulated.body))["rank"].to_list() == list(range(1, 11))

    shown = stack.shell("game-analytics show 2024-02-29")
    assert "ann" in shown
    assert "3.50" in shown
    runs = stack.ask("{ runsOrError { ... on Runs { results { jobName tags { key value } } } } }")["runsOrError"][
        "results"
    ]
    asked_for = {
        tag["value"]
        for run in runs
        if run["jobName"] == "leaderboard_job"
        for tag in run["tags"]
        if tag["key"] == "dagster/sensor_name"
    }
    assert asked_for == {"new_stats_file"}


def test_a_backfill_with_a_day_that_fails_makes_the_boards_of_the_others_in_its_one_run(stack: Stack) -> None:
    """The last of five days has a manifest that can't be read, so that it can't be landed."""
    stack.lake().put("raw/manifests/2025_12_05.json", b"{ broken")
    days = [f"2025-12-0{number}" for number in range(1, 6)]
    launched = stack.ask(BACKFILL, assets=[{"path": [asset]} for asset in ASSETS], days=days)
    backfill = launched["launchPartitionBackfill"]["backfillId"]
    eventually(lambda: backfilled(stack, backfill)["status"] != "REQUESTED", "the backfill ends", seconds=240)

    ended = backfilled(stack, backfill)
    assert ended["status"] == "COMPLETED_FAILED"
    assert ended["runs"] == [{"status": "FAILURE"}]
    assert ended["assetBackfillData"]["assetBackfillStatuses"] == [
        {"assetKey": {"path": [asset]}, "numPartitionsMaterialized": 4, "numPartitionsFailed": 1} for asset in ASSETS
    ]
    boards = [found.key for found in stack.lake().listing("leaderboard/")]
    assert boards == [f"leaderboard/2025_12_0{number}_top10.parquet" for number in range(1, 5)]


def backfilled(stack: Stack, backfill: str) -> Any:
    """What the UI shows of it."""
    return stack.ask(BACKFILLED, id=backfill)["partitionBackfillOrError"]
