"""Errors of S3 as one line that names the object and the next step, whether boto3 or Polars reports them. They never
contain credentials."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import botocore.exceptions
import urllib3.exceptions

from game_analytics.errors import GameAnalyticsError, Unavailable, printable

_BUCKET_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")  # as boto3 has it, which asks S3 for the rest

START_LOCALLY = "On a laptop run `make dev` in another shell, then `source .local/env` here."

_WRONG_CREDENTIALS = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "InvalidClientTokenId",
    "AuthFailure",
    "NotSignedUp",
    "XAdminUserNotFound",
}
_DENIED = {"403", "AccessDenied", "Forbidden", "AllAccessDisabled", "AccountProblem"}
_ELSEWHERE = {"301", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_BUSY = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling", "RequestLimitExceeded"}


class Damaged(Unavailable):
    """Bytes of an object have another checksum than the one that S3 gave with them."""


@dataclass(frozen=True)
class Refusal:
    """An error answer of S3."""

    code: str
    """S3's error code; the status if there is none."""
    status: int
    operation: str
    """The API operation: ``GetObject``."""
    said: str

    @staticmethod
    def of_answer(status: int, body: str, operation: str = "GetObject") -> "Refusal":
        """From an answer's body, which may be cut off."""
        code, message = (re.search(f"<{name}>([^<]+)</{name}>", body) for name in ("Code", "Message"))
        return Refusal(
            code=code[1] if code else str(status),
            status=status,
            operation=operation,
            said=message[1] if message else f"status {status}",
        )


def error_code(error: botocore.exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def readable_s3_errors(bucket: str, endpoint: str | None, key: str = "") -> Iterator[None]:
    """Turn errors of boto3 into errors of one line that names the object and the next step, without credentials."""
    place, where = _place(bucket, key), _where(endpoint)
    try:
        yield
    except botocore.exceptions.ClientError as error:
        raise explain(_refusal(error), bucket, endpoint, key) from error
    except (botocore.exceptions.NoCredentialsError, botocore.exceptions.PartialCredentialsError) as error:
        raise GameAnalyticsError(
            f"The AWS credentials for {place} are missing or incomplete. {START_LOCALLY}"
        ) from error
    except botocore.exceptions.NoRegionError as error:
        raise GameAnalyticsError(f"No region is set for {place}. Set AWS_REGION. {START_LOCALLY}") from error
    except (
        botocore.exceptions.HTTPClientError,
        botocore.exceptions.ConnectionError,
        botocore.exceptions.ResponseStreamingError,
        botocore.exceptions.IncompleteReadError,
        urllib3.exceptions.HTTPError,  # botocore does not wrap this if an error answer is cut off
    ) as error:
        raise no_answer(type(error).__name__, bucket, endpoint, key) from error
    except botocore.exceptions.FlexibleChecksumError as error:
        raise Damaged(
            f"{place} arrived damaged from {where}, or was replaced meanwhile: its checksum is another. Try again "
            "later; if it stays so, the object is damaged: write it again."
        ) from error
    except RecursionError as error:  # botocore follows redirects in a circle until the stack is full
        raise GameAnalyticsError(
            f"{where} only points elsewhere when asked for {place}. Set AWS_ENDPOINT_URL to where it points (https?)."
        ) from error
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        raise GameAnalyticsError(f"{where} can't be asked for {place}: {error}. Check the AWS settings.") from error


def explain(refusal: Refusal, bucket: str, endpoint: str | None, key: str = "") -> GameAnalyticsError:
    """The error for an answer: `Unavailable` if S3 is out of order or too busy."""
    code, place, where = printable(refusal.code), _place(bucket, key), _where(endpoint)
    message = _by_code_alone(code, bucket, where, key)
    if message is not None:
        return GameAnalyticsError(message)
    if code in _WRONG_CREDENTIALS:
        return GameAnalyticsError(
            f"{where} does not accept the AWS credentials ({code} for {place}). Renew or correct them. {START_LOCALLY}"
        )
    if code in _DENIED:
        return GameAnalyticsError(
            f"{where} refuses access to {place} ({code}, {refusal.operation}). Allow it in the policy of these "
            "credentials, or use others."
        )
    if code in _ELSEWHERE:
        return GameAnalyticsError(f"The bucket {bucket} is in another region ({code}). Set AWS_REGION to it.")
    if code in _BUSY or refusal.status >= 500:
        return Unavailable(
            f"{where} answers {code} for {place} again and again. Try again later. If it is "
            "a server of yours, its log says why: a full disk, perhaps."
        )
    return GameAnalyticsError(f"{where} answers {code} for {place} ({refusal.operation}): {printable(refusal.said)}")


def no_answer(what: str, bucket: str, endpoint: str | None, key: str = "") -> Unavailable:
    """The error for a connection that could not be opened, broke, or brought no answer."""
    return Unavailable(
        f"{_where(endpoint)} does not answer ({what} for {_place(bucket, key)}). Start it, or check AWS_ENDPOINT_URL. "
        f"{START_LOCALLY}"
    )


def ensure_bucket_name(bucket: str) -> None:
    """Raises `GameAnalyticsError` if this can't be the name of a bucket, before it becomes part of a URL."""
    if _BUCKET_NAME.fullmatch(bucket) is None:
        raise GameAnalyticsError(
            f"{bucket!r} can't be the name of a bucket. GAME_ANALYTICS_BUCKET must be the bucket's name alone, like "
            "game-analytics: no s3://, no folder, no space (an access point goes by its alias). Correct it."
        )


def _by_code_alone(code: str, bucket: str, where: str, key: str) -> str | None:
    """The message for a code that needs no further detail."""
    if code == "NoSuchBucket":
        return f"The bucket {bucket} does not exist at {where}. Create it, or name another in GAME_ANALYTICS_BUCKET."
    if code == "InvalidBucketName":
        return (
            f"{where} does not accept {bucket!r} as the name of a bucket ({code}): 3 to 63 characters, a to z, 0 to 9, "
            "hyphens and dots, beginning and ending with a letter or digit. Correct GAME_ANALYTICS_BUCKET."
        )
    if code == "InvalidObjectState":
        return f"{where} has archived {_place(bucket, key)} (GLACIER, DEEP_ARCHIVE; {code}). {_restore(bucket, key)}"
    if code == "RequestTimeTooSkewed":
        return (
            f"This machine's clock is off: {where} refuses requests whose time differs from its own by more than 15 "
            f"minutes ({code} for {_place(bucket, key)}). Set the clock right (an NTP service keeps it so), then run "
            "again."
        )
    return None


def _restore(bucket: str, key: str) -> str:
    """The next step for an archived object."""
    named = " ".join(shlex.quote(printable(word)) for word in ("--bucket", bucket, "--key", key))
    return (
        f"Restore it first, `aws s3api restore-object {named} --restore-request Days=7`, which takes minutes to hours, "
        "then run again; and leave what the lake still reads out of the rule that archives."
    )


def _refusal(error: botocore.exceptions.ClientError) -> Refusal:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return Refusal(error_code(error), status, error.operation_name, str(error))


def _place(bucket: str, key: str) -> str:
    return printable(f"s3://{bucket}/{key}" if key else f"s3://{bucket}")


def _where(endpoint: str | None) -> str:
    return f"S3 at {endpoint}" if endpoint else "S3"
