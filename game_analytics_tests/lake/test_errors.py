"""What S3 refuses or fails to do comes as one line that names the thing and the next step, soon, and no secret."""

import base64
import os
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.bucket import Lake, to_parquet
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.answering_s3 import (
    LISTED,
    SECRETS,
    Answer,
    answering,
    closed_port,
    resource_at,
    s3_error,
)
from game_analytics_tests.support.forked import run_python
from game_analytics_tests.support.lakes import lake_at

KEY = "events/2025_12_30_events.parquet"

LOCALLY = ("make dev", ".local/env")
"""The next step of somebody who has no S3 yet."""


def complaint(resource: LakeResource, expected: type[GameAnalyticsError] = GameAnalyticsError) -> str:
    """What opening the lake says: one line, and no secret in it."""
    with pytest.raises(expected) as error:
        resource.open()
    assert type(error.value) is expected
    return safe(str(error.value))


def safe(message: str) -> str:
    assert "\n" not in message
    assert not [secret for secret in SECRETS if secret in message]
    return message


def names_all(message: str, *parts: str) -> bool:
    return all(part in message for part in parts)


# -- opening a lake ---------------------------------------------------------------------------------------------------


def test_an_s3_that_is_not_there_is_told_within_seconds() -> None:
    url = closed_port()
    start = time.monotonic()
    message = complaint(resource_at(url, max_attempts=3), Unavailable)
    assert time.monotonic() - start < 10
    assert names_all(message, url, "s3://game-analytics", "does not answer", "AWS_ENDPOINT_URL", *LOCALLY)


def test_an_s3_that_speaks_no_tls_is_told_within_seconds() -> None:
    start = time.monotonic()
    with answering(LISTED) as server:
        url = server.url.replace("http:", "https:")
        message = complaint(resource_at(url), Unavailable)
    assert time.monotonic() - start < 10
    assert names_all(message, url, "s3://game-analytics", "SSLError", "AWS_ENDPOINT_URL")


def test_a_missing_bucket_is_told_from_a_missing_server(s3: S3Endpoint) -> None:
    message = complaint(lake_at(s3, "no-such-lake"))
    assert names_all(message, "no-such-lake", "does not exist", s3.url, "GAME_ANALYTICS_BUCKET")


def test_a_lake_that_may_not_be_read_names_bucket_and_policy() -> None:
    with answering(s3_error(403, "AccessDenied")) as server:
        message = complaint(resource_at(server.url))
    assert names_all(message, server.url, "s3://game-analytics", "refuses access", "policy", "ListObjectsV2")
    assert len(server.asked) == 1  # it is no use to ask again


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (403, "InvalidAccessKeyId"),
        (403, "SignatureDoesNotMatch"),
        (400, "ExpiredToken"),
        (400, "InvalidToken"),
        (403, "NotSignedUp"),
        (404, "XAdminUserNotFound"),
    ],
)
def test_credentials_that_are_not_accepted_are_told_from_a_refusal(status: int, code: str) -> None:
    with answering(s3_error(status, code)) as server:
        message = complaint(resource_at(server.url))
    assert names_all(message, server.url, "s3://game-analytics", code, "credentials", "Renew or correct", *LOCALLY)


@pytest.mark.parametrize(
    "answer",
    [
        # The region that S3 names is the one that was asked already.
        Answer(
            301,
            s3_error(301, "PermanentRedirect").body,
            {"x-amz-bucket-region": "eu-central-1"},
        ),
        s3_error(400, "AuthorizationHeaderMalformed"),
    ],
)
def test_a_bucket_of_another_region_names_the_setting(answer: Answer) -> None:
    with answering(answer) as server:
        message = complaint(resource_at(server.url))
    assert names_all(message, "game-analytics", "another region", "AWS_REGION")


@pytest.mark.parametrize("status", [301, 307])
def test_an_endpoint_that_only_points_elsewhere_is_named(status: int) -> None:
    """Many a front of an S3 sends ``http`` on to ``https``."""
    with answering(Answer(status, b"", {"Location": "https://s3.example/game-analytics"})) as server:
        message = complaint(resource_at(server.url))
    assert names_all(message, "game-analytics", "AWS_")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (s3_error(500, "InternalError"), "InternalError"),
        (s3_error(503, "SlowDown"), "SlowDown"),
        (s3_error(503, "ServiceUnavailable"), "ServiceUnavailable"),
        (Answer(502, b"<html><body>Bad Gateway<br></body></html>"), "502"),
        (Answer(504), "504"),
    ],
)
def test_an_s3_that_is_out_of_order_is_asked_again_and_then_told(answer: Answer, code: str) -> None:
    with answering(answer) as server:
        message = complaint(resource_at(server.url, max_attempts=2), Unavailable)
    assert names_all(message, server.url, "s3://game-analytics", code, "Try again later")
    assert len(server.asked) == 2


def test_a_fault_that_passes_is_not_told() -> None:
    with answering(s3_error(503, "SlowDown"), LISTED) as server:
        resource_at(server.url).open()
    assert len(server.asked) == 2


@pytest.mark.parametrize("body", [b"<html><body>Welcome<br></body></html>", b"It works!", b'{"status": "ok"}'])
def test_a_server_that_is_no_s3_is_named(body: bytes) -> None:
    with answering(Answer(200, body)) as server:
        message = complaint(resource_at(server.url), Unavailable)
    assert names_all(message, server.url, "s3://game-analytics")


def test_an_error_that_nobody_foresaw_is_passed_on_with_what_s3_says() -> None:
    with answering(s3_error(400, "BucketIsOnTheMoon", "It is far away.")) as server:
        message = complaint(resource_at(server.url))
    assert names_all(message, server.url, "s3://game-analytics", "BucketIsOnTheMoon", "It is far away.")


@pytest.mark.parametrize("url", ["localhost:9000", "http//localhost", "not a url"])
def test_an_endpoint_that_is_no_url_is_named(url: str) -> None:
    assert names_all(complaint(resource_at(url)), url, "Check the AWS settings")


@pytest.mark.parametrize(
    "bucket", ["game-analytics/raw", "s3://game-analytics", "game-analytics/", "game analytics", "game-analytics\n", ""]
)
def test_a_bucket_name_that_cannot_be_one_is_named_with_its_setting(bucket: str) -> None:
    with answering(LISTED) as server, pytest.raises(GameAnalyticsError) as error:
        resource_at(server.url, bucket=bucket).open()
    told = ("GAME_ANALYTICS_BUCKET must be the bucket's name alone, like game-analytics", "no s3://, no folder")
    assert names_all(safe(str(error.value)), repr(bucket), *told)
    assert server.asked == []


def test_a_bucket_name_that_s3_refuses_is_told_with_what_a_name_may_be() -> None:
    with answering(s3_error(400, "InvalidBucketName")) as server:
        message = complaint(resource_at(server.url))
    assert names_all(message, server.url, "'game-analytics'", "3 to 63 characters", "GAME_ANALYTICS_BUCKET")


def test_a_clock_that_is_off_is_told_for_what_it_is() -> None:
    with answering(s3_error(403, "RequestTimeTooSkewed")) as server:
        message = complaint(resource_at(server.url))
    assert names_all(message, "This machine's clock is off", server.url, "s3://game-analytics", "Set the clock right")


# -- working with it --------------------------------------------------------------------------------------------------

RESTORED = (
    "Restore it first",
    f"`aws s3api restore-object --bucket game-analytics --key {KEY} --restore-request Days=7`",
)
"""The next step where an object is archived."""


WAYS: list[Callable[[Lake], object]] = [
    lambda lake: lake.etag(KEY),
    lambda lake: lake.get(KEY),
    lambda lake: lake.put(KEY, b"content"),
    lambda lake: list(lake.listing(KEY)),
    lambda lake: lake.delete([KEY]),
    lambda lake: lake.replace(KEY, lambda: (b"content", None)),
    lambda lake: lake.download(KEY, Path(os.devnull)),
    lambda lake: lake.parquet_metadata(KEY),
]
NAMES = ["etag", "get", "put", "listing", "delete", "replace", "download", "parquet_metadata"]


@pytest.mark.parametrize("way", WAYS, ids=NAMES)
def test_whatever_is_refused_names_the_key(way: Callable[[Lake], object]) -> None:
    with answering(LISTED, s3_error(403, "AccessDenied")) as server:
        lake = resource_at(server.url).open()
        with pytest.raises(GameAnalyticsError) as error:
            way(lake)
    message = safe(str(error.value))
    assert names_all(message, server.url, f"s3://game-analytics/{KEY}", "refuses access")


@pytest.mark.parametrize("way", WAYS[:-1], ids=NAMES[:-1])
def test_whatever_goes_unanswered_names_the_key(way: Callable[[Lake], object]) -> None:
    with answering(LISTED, Answer(503)) as server:
        lake = resource_at(server.url).open()
        with pytest.raises(Unavailable) as error:
            way(lake)
    assert names_all(safe(str(error.value)), server.url, f"s3://game-analytics/{KEY}", "Try again later")


def test_an_archived_object_is_named_with_the_command_that_restores_it() -> None:
    with answering(LISTED, s3_error(403, "InvalidObjectState")) as server:
        lake = resource_at(server.url).open()
        with pytest.raises(GameAnalyticsError) as error:
            lake.get(KEY)
    assert names_all(safe(str(error.value)), server.url, f"has archived s3://game-analytics/{KEY}", *RESTORED)


def test_a_server_that_went_away_is_told_when_it_is_asked_next() -> None:
    with answering(LISTED) as server:
        lake = resource_at(server.url).open()
    with pytest.raises(Unavailable) as error:
        lake.get(KEY)
    assert names_all(safe(str(error.value)), server.url, f"s3://game-analytics/{KEY}", "does not answer", *LOCALLY)


def test_an_answer_that_breaks_off_is_not_taken_for_the_object() -> None:
    with answering(LISTED, Answer(200, b"half of", {"ETag": '"e"'}, missing=8)) as server:
        lake = resource_at(server.url).open()
        with pytest.raises(Unavailable) as error:
            lake.get(KEY)
    assert names_all(safe(str(error.value)), server.url, f"s3://game-analytics/{KEY}", "does not answer")


def test_an_object_with_another_checksum_is_damaged_or_was_replaced_meanwhile() -> None:
    damaged = Answer(200, b"other bytes", {"ETag": '"e"', "x-amz-checksum-crc32": "AAAAAA=="})
    with answering(LISTED, damaged) as server:
        lake = resource_at(server.url).open()
        with pytest.raises(Unavailable) as error:
            lake.get(KEY)
    assert names_all(
        safe(str(error.value)), server.url, f"s3://game-analytics/{KEY} arrived damaged", "replaced meanwhile"
    )


def test_a_server_that_lists_no_etags_is_told_for_what_it_is() -> None:
    listed = (
        f"<ListBucketResult><Contents><Key>{KEY}</Key><LastModified>2025-12-30T12:00:00.000Z</LastModified>"
        "<Size>3</Size></Contents></ListBucketResult>"
    )
    with answering(Answer(200, listed.encode())) as server:
        lake = resource_at(server.url).open()
        with pytest.raises(GameAnalyticsError) as error:
            list(lake.listing("events/"))
    assert names_all(safe(str(error.value)), server.url, f"lists s3://game-analytics/{KEY} without an ETag")


@pytest.mark.parametrize("etag", ["", '"d41d8cd98f00', '"'])
@pytest.mark.parametrize("way", [WAYS[0], WAYS[2], WAYS[5]], ids=["etag", "put", "replace"])
def test_an_answer_that_ends_before_its_etag_does_is_none(way: Callable[[Lake], object], etag: str) -> None:
    """A connection that ends in good order among the headers: Python's reader takes what came for all of them."""
    with answering(LISTED, Answer(200, headers={"ETag": etag})) as server:
        lake = resource_at(server.url).open()
        with pytest.raises(Unavailable) as error:
            way(lake)
    assert names_all(safe(str(error.value)), server.url, f"s3://game-analytics/{KEY}", "does not answer", "ETag")


def test_a_replacement_that_is_forbidden_is_not_tried_again() -> None:
    answers = (LISTED, Answer(200, headers={"ETag": '"before"'}), s3_error(403, "AccessDenied"))
    builds = []

    def build() -> tuple[bytes, None]:
        builds.append("once")
        return b"content", None

    with answering(*answers) as server:
        lake = resource_at(server.url).open()
        with pytest.raises(GameAnalyticsError, match="refuses access"):
            lake.replace(KEY, build)
    assert [asked.method for asked in server.asked] == ["GET", "HEAD", "PUT"]
    assert server.asked[-1].headers["if-match"] == '"before"'
    assert builds == ["once"]


def test_a_server_that_takes_no_notice_of_conditions_is_refused_before_anything_is_written() -> None:
    written = Answer(200, headers={"ETag": '"any"'})
    with answering(LISTED, written, keeps_conditions=False) as server:
        lake = resource_at(server.url).open()
        with pytest.raises(GameAnalyticsError, match="takes no notice of conditions") as error:
            lake.replace(KEY, lambda: (b"content", None))
    assert names_all(str(error.value), server.url, "raw/conditions.txt", "check-lake")
    assert [(asked.method, asked.path) for asked in server.asked[1:]] == [
        ("PUT", "/game-analytics/raw/conditions.txt")
    ] * 2


def test_conditions_are_tried_once_a_run_and_in_a_new_lake_twice() -> None:
    refused, absent, written = s3_error(412, "PreconditionFailed"), Answer(404), Answer(200, headers={"ETag": '"a"'})
    #       marker: new, kept  HEAD    PUT      HEAD    PUT
    answers = (LISTED, written, refused, absent, written, absent, written)
    with answering(*answers, keeps_conditions=False) as server:
        lake = resource_at(server.url).open()
        for _ in range(2):
            lake.replace(KEY, lambda: (b"content", None))
    assert [asked.method for asked in server.asked] == ["GET", "PUT", "PUT", "HEAD", "PUT", "HEAD", "PUT"]


def test_a_footer_that_a_server_gives_no_part_of_is_read_with_the_whole_object() -> None:
    body = to_parquet(pl.DataFrame({"a": [1]}), {"made": "here"})
    whole = Answer(200, body, {"ETag": '"a"'})
    with answering(LISTED, s3_error(416, "InvalidRange"), whole) as server:
        lake = resource_at(server.url).open()
        assert lake.parquet_metadata(KEY)["made"] == "here"
    assert [asked.method for asked in server.asked] == ["GET", "GET", "HEAD", "GET"]


def test_a_part_with_the_checksum_of_the_whole_object_is_read_with_the_whole_object() -> None:
    """As gofakes3 gives it."""
    body = to_parquet(pl.DataFrame({"a": [str(number**5) for number in range(30_000)]}), {"made": "here"})
    checksum = base64.b64encode(zlib.crc32(body).to_bytes(4)).decode()
    headers = {"ETag": '"a"', "x-amz-checksum-crc32": checksum}
    part = Answer(
        206, body[-65_536:], {**headers, "Content-Range": f"bytes {len(body) - 65_536}-{len(body) - 1}/{len(body)}"}
    )
    assert len(body) > len(part.body)
    with answering(LISTED, part, Answer(200, body, headers)) as server:
        lake = resource_at(server.url).open()
        assert lake.parquet_metadata(KEY)["made"] == "here"
    assert [asked.method for asked in server.asked] == ["GET", "GET", "GET"]


def test_another_put_that_is_under_way_counts_as_a_refusal() -> None:
    absent, conflict = Answer(404), s3_error(409, "ConditionalRequestConflict")
    put = Answer(200, headers={"ETag": '"ours"'})
    #        opened  HEAD    PUT       GET: nothing stands yet          HEAD    PUT
    answers = (LISTED, absent, conflict, s3_error(404, "NoSuchKey"), absent, put)
    with answering(*answers) as server:
        assert resource_at(server.url).open().replace(KEY, lambda: (b"content", "told")) == ("told", "ours")
    assert [asked.method for asked in server.asked] == ["GET", "HEAD", "PUT", "GET", "HEAD", "PUT"]
    assert {asked.headers.get("if-none-match") for asked in server.asked if asked.method == "PUT"} == {"*"}


def test_a_put_whose_answer_was_lost_is_done_once_it_stands() -> None:
    """The first try arrives and its answer is lost; the second is refused by the first one's success."""
    answers = (
        LISTED,
        Answer(404),  # HEAD: nothing stands
        Answer(500),  # PUT: stored, but who knows
        s3_error(412, "PreconditionFailed"),  # the same PUT again, by botocore
        Answer(200, b"content", {"ETag": '"ours"'}),  # GET: what stands is what was to be written
    )
    with answering(*answers) as server:
        assert resource_at(server.url).open().replace(KEY, lambda: (b"content", "told")) == ("told", "ours")
    assert [asked.method for asked in server.asked] == ["GET", "HEAD", "PUT", "PUT", "GET"]


# -- without credentials ----------------------------------------------------------------------------------------------

OPEN = """
from dagster_aws.s3 import S3Resource
from game_analytics.errors import GameAnalyticsError
from game_analytics.defs.resources import LakeResource
try:
    LakeResource(bucket="game-analytics", s3=S3Resource(max_attempts=2)).open()
except GameAnalyticsError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
        {"AWS_SECRET_ACCESS_KEY": SECRETS[0]},
        {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE"},
    ],
    ids=["nothing", "endpoint only", "secret only", "key only"],
)
def test_without_whole_credentials_it_says_at_once_what_to_do(tmp_path: Path, settings: dict[str, str]) -> None:
    start = time.monotonic()
    # No files below an empty home, and no machine to ask.
    environment = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", **settings}
    ran = run_python(OPEN, environment=environment, folder=Path(__file__).parents[2])
    assert time.monotonic() - start < 20  # most of it is the start of Python
    assert (ran.returncode, ran.stderr) == (0, "")
    message = safe(ran.stdout.strip())
    assert names_all(message, "credentials", "s3://game-analytics", *LOCALLY)


# -- Polars asks for itself -------------------------------------------------------------------------------------------


def test_an_s3_that_goes_away_while_polars_reads_is_unavailable() -> None:
    with answering(LISTED) as server:
        lake = resource_at(server.url).open()
    with pytest.raises(Unavailable) as error:
        lake.collect(lake.scan_parquet([KEY], pl.Schema({"player_id": pl.String()})))
    assert names_all(safe(str(error.value)), server.url, "s3://game-analytics", "make dev")


@pytest.mark.parametrize(
    ("answer", "expected", "told"),
    [
        (s3_error(403, "AccessDenied"), GameAnalyticsError, ("refuses access", "AccessDenied", "policy")),
        (s3_error(400, "ExpiredToken"), GameAnalyticsError, ("ExpiredToken", "Renew or correct", *LOCALLY)),
        (s3_error(403, "SignatureDoesNotMatch"), GameAnalyticsError, ("SignatureDoesNotMatch", "Renew or correct")),
        (s3_error(403, "InvalidObjectState"), GameAnalyticsError, ("has archived", *RESTORED)),
        (s3_error(403, "RequestTimeTooSkewed"), GameAnalyticsError, ("This machine's clock is off", "Set the clock")),
        (s3_error(500, "InternalError"), Unavailable, ("InternalError", "Try again later")),
        (s3_error(503, "SlowDown"), Unavailable, ("SlowDown", "Try again later")),
        (Answer(502, b"<html><body>Bad Gateway</body></html>"), Unavailable, ("502", "Try again later")),
        (s3_error(400, "BucketIsOnTheMoon", "It is far away."), GameAnalyticsError, ("OnTheMoon", "It is far away.")),
        (Answer(200, b"half of", missing=1_000), Unavailable, ("does not answer", "AWS_ENDPOINT_URL", *LOCALLY)),
    ],
)
def test_what_polars_is_answered_is_told_as_anywhere_else(
    answer: Answer, expected: type[GameAnalyticsError], told: tuple[str, ...]
) -> None:
    with answering(LISTED, answer) as server:
        lake = resource_at(server.url).open()
        with pytest.raises(expected) as error:
            lake.collect(lake.scan_parquet([KEY], pl.Schema({"player_id": pl.String()})))
    assert type(error.value) is expected
    assert names_all(safe(str(error.value)), server.url, f"s3://game-analytics/{KEY}", *told)


def test_a_refusal_to_delete_is_told() -> None:
    refused = b"<DeleteResult><Error><Key>raw/old</Key><Code>AccessDenied</Code></Error></DeleteResult>"
    with answering(LISTED, Answer(200, refused)) as server:
        lake = resource_at(server.url).open()
        with pytest.raises(GameAnalyticsError) as error:
            lake.delete(["raw/old"])
    assert names_all(
        safe(str(error.value)), "refuses to delete 1 objects", "AccessDenied", "raw/old", "s3:DeleteObject"
    )


@pytest.mark.parametrize("code", ["SlowDown", "InternalError"])
def test_a_deletion_that_s3_has_no_time_for_is_told_from_a_refusal(code: str) -> None:
    busy = f"<DeleteResult><Error><Key>raw/old</Key><Code>{code}</Code></Error></DeleteResult>".encode()
    with answering(LISTED, Answer(200, busy)) as server:
        lake = resource_at(server.url).open()
        with pytest.raises(Unavailable) as error:
            lake.delete(["raw/old"])
    assert names_all(safe(str(error.value)), code, "s3://game-analytics/raw/old", "Try again later")
