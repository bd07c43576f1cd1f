"""Tokens for SASL's OAUTHBEARER that a program must make, since no property of librdkafka can: those of AWS IAM.

What makes them comes with the extra ``game-analytics[msk]``, and is imported when the settings ask for it.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from game_analytics.errors import GameAnalyticsError

TOKEN = "game-analytics.token"  # noqa: S105 - the name of a property
"""The property of `KAFKA_CONFIG_FILE` that says where tokens come from."""
MSK_IAM = "aws-msk-iam"
"""Its only value."""

_MECHANISMS = ("sasl.mechanism", "sasl.mechanisms")
_OF_MSK = re.compile(
    r"\.kafka(?:-serverless)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?(?::|,|$)", re.IGNORECASE
)


class Token(NamedTuple):
    """What a client shows to the broker."""

    value: str
    expires: float
    """In seconds since 1970."""

    def __repr__(self) -> str:
        """Without the value, which is a secret until it expires."""
        return f"Token(expires={self.expires})"


class TokenSource(ABC):
    """Makes tokens. Can be pickled, and holds no credentials: each process finds its own."""

    @abstractmethod
    def token(self) -> Token:
        """A new one. Raises `GameAnalyticsError` where there are no credentials to make it from."""


def token_source(properties: Mapping[str, str], bootstrap_servers: str, named_by: str) -> TokenSource | None:
    """What the file's properties ask for; None if they ask for nothing. ``named_by``: the variable or option that names
    the file. Raises `GameAnalyticsError` if they ask for what there is not."""
    asked = properties.get(TOKEN)
    if asked is None:
        return None
    if asked != MSK_IAM:
        raise GameAnalyticsError(
            f"{TOKEN} in the file that {named_by} names is unknown: `{MSK_IAM}` is expected. Fix or remove the line."
        )
    asks_for_tokens = "OAUTHBEARER" in {properties.get(name) for name in _MECHANISMS}
    if not asks_for_tokens or properties.get("security.protocol", "").upper() != "SASL_SSL":
        raise GameAnalyticsError(
            f"{TOKEN} needs sasl.mechanism=OAUTHBEARER and security.protocol=SASL_SSL. Set both in the file that "
            f"{named_by} names."
        )
    return MskIamTokens.for_servers(bootstrap_servers)


@dataclass(frozen=True)
class MskIamTokens(TokenSource):
    """Amazon MSK's IAM access control: a URL signed with the AWS credentials of the environment, a file or a role,
    valid for 15 minutes (https://github.com/aws/aws-msk-iam-sasl-signer-python)."""

    region: str

    @classmethod
    def for_servers(cls, bootstrap_servers: str) -> "MskIamTokens":
        """For the region in the servers' names, else the one that the AWS settings name."""
        _signer()  # first of all, so that a missing extra is told when the settings are read
        named = _OF_MSK.search(bootstrap_servers)
        return cls(named["region"].lower() if named is not None else _configured_region(bootstrap_servers))

    def token(self) -> Token:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

        try:
            value, expires_ms = _signer()(self.region)
        except AttributeError:  # what the signer raises where there are no credentials at all
            raise _no_token("there are none") from None
        except (BotoCoreError, ClientError, OSError, ValueError) as error:  # also what STS answers for a role
            raise _no_token(str(error).rstrip(".")) from None
        return Token(value, expires_ms / 1000)


def _signer() -> Callable[[str], tuple[str, int]]:
    """AWS's function from a region to a token and when it expires, in milliseconds since 1970. Raises
    `GameAnalyticsError` if the extra is missing."""
    try:
        from aws_msk_iam_sasl_signer import MSKAuthTokenProvider  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise GameAnalyticsError(
            f"{TOKEN} is {MSK_IAM}, and the module {missing.name} is missing. Install `game-analytics[msk]`."
        ) from None
    sign: Callable[[str], tuple[str, int]] = MSKAuthTokenProvider.generate_auth_token
    return sign


def _configured_region(bootstrap_servers: str) -> str:
    import boto3  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    try:
        region = os.environ.get("AWS_REGION") or boto3.Session().region_name
    except BotoCoreError as error:  # a profile that does not exist
        raise GameAnalyticsError(f"{TOKEN} is {MSK_IAM}: {str(error).rstrip('.')}. Fix the AWS settings.") from None
    if region is None:
        raise GameAnalyticsError(
            f"{TOKEN} is {MSK_IAM}, and neither the servers ({bootstrap_servers}) nor the AWS settings name the "
            "cluster's region. Set AWS_DEFAULT_REGION."
        )
    return region


def _no_token(why: str) -> GameAnalyticsError:
    return GameAnalyticsError(
        f"No token for Kafka can be made from the AWS credentials: {why}. Give this process a role or credentials that "
        "may connect to the cluster (kafka-cluster:Connect)."
    )
