"""The bucket's lifecycle: it clears away what nobody reads, and nothing of the lake that stands."""

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from game_analytics.lake.names import board_key, day_prefix, manifest_key, stats_key
from game_analytics_tests.support.samples import DAY

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RULES: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "deploy" / "s3-lifecycle.json").read_text())[
    "Rules"
]


def expiring() -> list[str]:
    """The prefixes whose objects go as they get old."""
    return [rule["Filter"]["Prefix"] for rule in RULES if "Days" in rule.get("Expiration", {})]


@pytest.mark.parametrize(
    "key", [manifest_key(DAY), day_prefix("raw", DAY), day_prefix("quarantine", DAY), stats_key(DAY), board_key(DAY)]
)
def test_what_stands_in_the_lake_stays_for_ever(key: str) -> None:
    assert not any(key.startswith(prefix) for prefix in expiring())


def test_the_output_of_runs_goes_after_a_month() -> None:
    assert expiring() == ["dagster/compute-logs/"]


def test_what_was_replaced_goes_after_a_month_wherever_it_lies() -> None:
    kept = [rule for rule in RULES if "NoncurrentVersionExpiration" in rule]
    assert [(rule["Filter"]["Prefix"], rule["NoncurrentVersionExpiration"]["NoncurrentDays"]) for rule in kept] == [
        ("", 30)
    ]


def test_s3_takes_all_rules(client: "S3Client") -> None:
    bucket = f"lake-{uuid.uuid4()}"
    client.create_bucket(Bucket=bucket)
    client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": RULES})  # type: ignore[typeddict-item]
    taken = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert [rule["ID"] for rule in taken] == [rule["ID"] for rule in RULES]
    assert all(rule["Status"] == "Enabled" for rule in taken)
