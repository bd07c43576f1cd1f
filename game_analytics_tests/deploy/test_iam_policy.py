"""The policies of `deploy/` grant what the services need on the bucket, and nothing besides.

moto enforces them: signatures, actions and the keys that they are for, on real requests of boto3, Polars and Dagster.
What it can't enforce, and is not tested here: that AWS tells of a missing object only those who may list the bucket
(others get 403 for 404), and that a write with `If-Match` or `If-None-Match` takes no right besides these.
"""

import sys
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from game_analytics.local_stack.endpoint import S3Endpoint, s3_client
from game_analytics_tests.support.code_location import (
    Deed,
    clear_away_after_a_day,
    code_location,
    environment_of,
    keep_output,
    look_whether_the_board_is_fresh,
    materialize,
    output_of,
    read_the_quarantine_again,
    show,
    trouble_with,
    watch,
)
from game_analytics_tests.support.processes import eventually
from game_analytics_tests.support.s3_permissions import Right, User, read_policy, user_with
from game_analytics_tests.support.s3_proxy import Fate, Forward, Refuse, Request

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DEPLOY = Path(__file__).parents[2] / "deploy"
LOGS = "dagster/compute-logs/*"
OUTPUT = ["run", "compute_logs", "step"]
"""Where the output of a run's step lies, as Dagster names it."""

ABORT = Right("s3:AbortMultipartUpload", LOGS)
NEEDED_FOR: dict[Right, tuple[Deed, str]] = {
    Right("s3:ListBucket"): (watch, "(AccessDenied, ListObjectsV2)"),
    Right("s3:GetObject", "raw/*"): (materialize, "/raw/manifests/2025_12_30.json (403, HeadObject)"),
    Right("s3:GetObject", "quarantine/*"): (show, ".parquet (AccessDenied, GetObject)"),
    Right("s3:GetObject", "events/*"): (materialize, "/events/2025_12_30_events.parquet (403, HeadObject)"),
    Right("s3:GetObject", "leaderboard/*"): (materialize, "/leaderboard/2025_12_30_top10.parquet (403, HeadObject)"),
    Right("s3:PutObject", "raw/*"): (materialize, "/raw/conditions.txt (AccessDenied, PutObject)"),
    Right("s3:PutObject", "quarantine/*"): (materialize, ".parquet (AccessDenied, PutObject)"),
    Right("s3:PutObject", "events/*"): (materialize, "/events/2025_12_30_events.parquet (AccessDenied, PutObject)"),
    Right("s3:PutObject", "leaderboard/*"): (materialize, "_top10.parquet (AccessDenied, PutObject)"),
    Right("s3:DeleteObject", "raw/*"): (clear_away_after_a_day, "/raw/2025_12_30/0-0-9-0123456789ab.parquet. Allow"),
    Right("s3:DeleteObject", "quarantine/*"): (clear_away_after_a_day, "9-0123456789ab.parquet. Allow s3:DeleteObject"),
    Right("s3:PutObject", LOGS): (keep_output, "(AccessDenied) when calling the PutObject operation"),
}
"""What the code location can't do without each of its rights, and what is said then."""

ALL_OF_ITS_WORK: list[Deed] = [
    materialize,
    watch,
    look_whether_the_board_is_fresh,
    show,
    read_the_quarantine_again,
    clear_away_after_a_day,
    keep_output,
]


@dataclass(frozen=True)
class Done:
    """What became of all the work of a code location that has its policy."""

    bucket: str
    troubles: dict[str, str]
    asked_for: set[Right]


def granted() -> set[Right]:
    return read_policy(DEPLOY / "iam-policy.json")


def new_bucket(client: "S3Client") -> str:
    name = f"lake-{uuid.uuid4()}"
    client.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="module")
def done(s3: S3Endpoint, client: "S3Client", tmp_path_factory: pytest.TempPathFactory) -> Done:
    bucket = new_bucket(client)
    with user_with(granted(), s3, bucket) as user, code_location(user, tmp_path_factory.mktemp("output")) as service:
        troubles = {deed.__name__: said for deed in ALL_OF_ITS_WORK if (said := trouble_with(deed, service))}
        user.hook = second_part_breaks_off
        trouble_with(keep_output, service)
    return Done(bucket, troubles, user.asked_for)


pytestmark = pytest.mark.trial


def second_part_breaks_off(request: Request) -> Fate:
    return Refuse(400, "BadDigest") if "partNumber=2" in request.target else Forward()


def test_with_its_policy_the_code_location_does_all_of_its_work(done: Done) -> None:
    assert done.troubles == {}


def test_its_work_takes_just_the_rights_that_the_policy_grants(done: Done) -> None:
    assert done.asked_for == granted()


def test_each_of_these_rights_is_tried_below() -> None:
    assert granted() == {*NEEDED_FOR, ABORT}


@pytest.mark.parametrize("missing", NEEDED_FOR, ids=str)
def test_without_any_one_of_them_something_fails_and_says_so(
    missing: Right, done: Done, s3: S3Endpoint, tmp_path: Path
) -> None:
    deed, said = NEEDED_FOR[missing]
    with user_with(granted() - {missing}, s3, done.bucket) as user, code_location(user, tmp_path) as service:
        assert said in trouble_with(deed, service)


@pytest.mark.parametrize(("missing", "parts_left"), [(set[Right](), 0), ({ABORT}, 1)])
def test_an_upload_that_breaks_off_is_cleared_away_if_that_is_allowed(
    missing: set[Right], parts_left: int, s3: S3Endpoint, client: "S3Client", tmp_path: Path
) -> None:
    """What is left costs money until a lifecycle rule removes it."""
    bucket = new_bucket(client)
    with user_with(granted() - missing, s3, bucket) as user, code_location(user, tmp_path) as service:
        user.hook = second_part_breaks_off
        assert "BadDigest" in trouble_with(keep_output, service)
    assert len(client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])) == parts_left


def test_output_of_a_long_run_is_shown_early_without_a_right_to_read_it(
    s3: S3Endpoint, client: "S3Client", tmp_path: Path
) -> None:
    """Dagster asks first whether the output is whole already, and takes a refusal for a no."""
    bucket = new_bucket(client)
    with (
        user_with(granted(), s3, bucket) as user,
        code_location(user, tmp_path, upload_interval=1) as service,
        service.output.capture_logs(OUTPUT),
    ):
        put_out("half of it")
        eventually(lambda: [*service.pipeline.lake.listing("dagster/")], "output is in the bucket", seconds=20)
    assert Right("s3:GetObject", LOGS) in user.asked_for


ELSEWHERE = [
    ("get_object", "elsewhere/what.parquet"),
    ("put_object", "elsewhere/what.parquet"),
    ("get_object", "dagster/compute-logs/storage/run/compute_logs/step.out"),
    ("delete_object", "dagster/compute-logs/storage/run/compute_logs/step.out"),
    ("delete_object", "events/2025_12_30_events.parquet"),
    ("delete_object", "leaderboard/2025_12_30_top10.parquet"),
]


@pytest.mark.parametrize(("operation", "key"), ELSEWHERE)
def test_the_code_location_can_do_nothing_else(operation: str, key: str, done: Done, s3: S3Endpoint) -> None:
    with user_with(granted(), s3, done.bucket) as user:
        assert refusal(user, operation, Key=key) == "AccessDenied"


def test_the_code_location_can_do_nothing_with_another_bucket(done: Done, s3: S3Endpoint, client: "S3Client") -> None:
    other = new_bucket(client)
    with user_with(granted(), s3, done.bucket) as user:
        assert refusal(user, "list_objects_v2") is None
        user.bucket = other
        assert refusal(user, "list_objects_v2") == "AccessDenied"
        assert refusal(user, "put_object", Key="raw/manifests/2025_12_30.json") == "AccessDenied"


def refusal(user: User, operation: str, **parameters: str) -> str | None:
    """What S3 says to a request of the user's if it refuses it."""
    with closing(s3_client(user.s3)) as client:
        try:
            getattr(client, operation)(Bucket=user.bucket, **parameters)
        except ClientError as error:
            return error.response["Error"]["Code"]
    return None


@pytest.fixture
def kept(s3: S3Endpoint, client: "S3Client", tmp_path: Path) -> str:
    """A bucket with the output that a run has left."""
    bucket = new_bucket(client)
    with (
        user_with(granted(), s3, bucket) as user,
        code_location(user, tmp_path) as service,
        service.output.capture_logs(OUTPUT),
    ):
        put_out("it went well")
    return bucket


def put_out(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def shown(rights: set[Right], s3: S3Endpoint, bucket: str, folder: Path) -> bytes | None:
    """What a webserver with these rights shows of that output."""
    with user_with(rights, s3, bucket) as user, environment_of(user):
        return output_of(user, folder).get_log_data(OUTPUT).stdout


def test_the_webserver_shows_what_a_run_has_put_out(kept: str, s3: S3Endpoint, tmp_path: Path) -> None:
    assert shown(read_policy(DEPLOY / "iam-policy-webserver.json"), s3, kept, tmp_path / "ui") == b"it went well"


def test_without_its_only_right_the_webserver_shows_nothing(kept: str, s3: S3Endpoint, tmp_path: Path) -> None:
    rights = read_policy(DEPLOY / "iam-policy-webserver.json")
    assert rights == {Right("s3:GetObject", LOGS)}
    assert shown(set(), s3, kept, tmp_path / "ui") is None


@pytest.mark.parametrize(
    ("operation", "key"),
    [
        ("get_object", "raw/manifests/2025_12_30.json"),
        ("get_object", "leaderboard/2025_12_30_top10.parquet"),
        ("put_object", "events/2025_12_30_events.parquet"),
        ("put_object", "dagster/compute-logs/storage/run/compute_logs/step.out"),
        ("delete_object", "dagster/compute-logs/storage/run/compute_logs/step.out"),
    ],
)
def test_the_webserver_can_do_nothing_else(operation: str, key: str, done: Done, s3: S3Endpoint) -> None:
    with user_with(read_policy(DEPLOY / "iam-policy-webserver.json"), s3, done.bucket) as user:
        assert refusal(user, operation, Key=key) == "AccessDenied"
        assert refusal(user, "list_objects_v2") == "AccessDenied"
