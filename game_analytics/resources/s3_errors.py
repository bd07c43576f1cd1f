"""What boto3 raises, as one line that names the thing and the next step. No credential appears in it."""

from collections.abc import Iterator
from contextlib import contextmanager

import botocore.exceptions

from game_analytics.errors import GameAnalyticsError, Unavailable

START_LOCALLY = "On a laptop run `make dev` in another shell, then `source .local/env` here."

_WRONG_CREDENTIALS = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "InvalidClientTokenId",
    "AuthFailure",
}
_DENIED = {"403", "AccessDenied", "Forbidden", "AllAccessDisabled", "AccountProblem"}
_ELSEWHERE = {"301", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_BUSY = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling", "RequestLimitExceeded"}


def error_code(error: botocore.exceptions.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def readable_s3_errors(bucket: str, endpoint: str | None, key: str = "") -> Iterator[None]:
    """Turn what boto3 raises into one line that names the thing and the next step. No credential appears in it."""
    place = f"s3://{bucket}/{key}" if key else f"s3://{bucket}"
    where = f"S3 at {endpoint}" if endpoint else "S3"
    try:
        yield
    except botocore.exceptions.ClientError as error:
        raise _explain(error, place, where, bucket) from error
    except (botocore.exceptions.NoCredentialsError, botocore.exceptions.PartialCredentialsError) as error:
        raise GameAnalyticsError(
            f"The AWS credentials for {place} are missing or not whole. {START_LOCALLY}"
        ) from error
    except botocore.exceptions.NoRegionError as error:
        raise GameAnalyticsError(f"No region is set for {place}. Set AWS_REGION. {START_LOCALLY}") from error
    except (
        botocore.exceptions.HTTPClientError,
        botocore.exceptions.ConnectionError,
        botocore.exceptions.ResponseStreamingError,
    ) as error:
        raise Unavailable(
            f"{where} does not answer ({type(error).__name__} for {place}). Start it, or check AWS_ENDPOINT_URL. "
            f"{START_LOCALLY}"
        ) from error
    except RecursionError as error:  # botocore follows a redirect that leads nowhere until the stack is full
        raise GameAnalyticsError(
            f"{where} only points elsewhere when asked for {place}. Set AWS_ENDPOINT_URL to where it points (https?)."
        ) from error
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        raise GameAnalyticsError(f"{where} can't be asked for {place}: {error}. Check the AWS settings.") from error


def _explain(error: botocore.exceptions.ClientError, place: str, where: str, bucket: str) -> GameAnalyticsError:
    code = error_code(error)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "NoSuchBucket":
        return GameAnalyticsError(
            f"The bucket {bucket} does not exist at {where}. Create it, or name another in GAME_ANALYTICS_BUCKET."
        )
    if code in _WRONG_CREDENTIALS:
        return GameAnalyticsError(
            f"{where} does not accept the AWS credentials ({code} for {place}). Renew or correct them. {START_LOCALLY}"
        )
    if code in _DENIED:
        return GameAnalyticsError(
            f"{where} refuses access to {place} ({code}, {error.operation_name}). Allow it in the policy of these "
            "credentials, or use others."
        )
    if code in _ELSEWHERE:
        return GameAnalyticsError(f"The bucket {bucket} is in another region ({code}). Set AWS_REGION to it.")
    if code in _BUSY or status >= 500:
        return Unavailable(f"{where} answers {code} for {place} again and again. Try again later.")
    return GameAnalyticsError(f"{where} answers {code} for {place} ({error.operation_name}): {error}")
