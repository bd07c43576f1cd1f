"""Permissions on the bucket: those that a policy grants, those that a request needs, and an S3 server that enforces a
user's policy."""

import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
from moto.core import enable_iam_authentication

from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.s3_proxy import Answer, Exchange, Fate, Forward, Hook, Request, proxy_before

NAMED_IN_THE_FILES = "game-analytics"
"""The bucket that the policies in `deploy/` name."""

_ARN = "arn:aws:s3:::"
_LOGS = "dagster/compute-logs/"


@dataclass(frozen=True, order=True)
class Right:
    """An action and the keys it applies to; no keys for actions on the bucket."""

    action: str
    keys: str = ""

    def __str__(self) -> str:
        return f"{self.action} {self.keys}".rstrip()


def read_policy(path: Path) -> set[Right]:
    """The permissions that a policy of `deploy/` grants. Anything else in it is an error."""
    policy = json.loads(path.read_text())
    assert policy["Version"] == "2012-10-17"
    granted = []
    for statement in policy["Statement"]:
        assert statement.keys() == {"Sid", "Effect", "Action", "Resource"}
        assert statement["Effect"] == "Allow"
        granted += [
            Right(action, _keys_of(resource))
            for action in _listed(statement["Action"])
            for resource in _listed(statement["Resource"])
        ]
    assert len(granted) == len(set(granted)), "a right is granted twice"
    return set(granted)


def _keys_of(resource: str) -> str:
    bucket, _, keys = resource.removeprefix(_ARN).partition("/")
    assert resource == f"{_ARN}{bucket}{'/' if keys else ''}{keys}"
    assert bucket == NAMED_IN_THE_FILES
    return keys


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def right_for(request: Request) -> Right:
    """The permission that a request needs, by AWS's reference of S3 actions."""
    asks = _asks(request)
    match request.method:
        case "GET" if not request.key and "list-type" in asks:
            return Right("s3:ListBucket")
        case "GET" | "HEAD" if request.key and not asks:
            return Right("s3:GetObject", keys_with(request.key))
        case "PUT" if request.key and asks <= {"partNumber", "uploadId"}:
            return Right("s3:PutObject", keys_with(request.key))
        case "POST" if request.key and asks in ({"uploads"}, {"uploadId"}):
            return Right("s3:PutObject", keys_with(request.key))
        case "DELETE" if request.key and asks == {"uploadId"}:
            return Right("s3:AbortMultipartUpload", keys_with(request.key))
        case "DELETE" if request.key and not asks:
            return Right("s3:DeleteObject", keys_with(request.key))
    raise AssertionError(f"which right does this take? {request}")


def _asks(request: Request) -> set[str]:
    return set(parse_qs(urlsplit(request.target).query, keep_blank_values=True))


def keys_with(key: str) -> str:
    """The pattern of all keys in the same folder: ``raw/*``."""
    return f"{_LOGS}*" if key.startswith(_LOGS) else f"{key.partition('/')[0]}/*"


@dataclass
class User:
    """A user with access keys, and the endpoint."""

    s3: S3Endpoint
    bucket: str
    rights: set[Right]
    asked_for: set[Right] = field(default_factory=set)
    """The permissions that the user's requests needed, granted or not."""
    hook: Hook = lambda _request: Forward()
    """The hook for the user's requests; it may be changed at any time."""


@contextmanager
def user_with(rights: Iterable[Right], server: S3Endpoint, bucket: str) -> Iterator[User]:
    """A user with exactly these permissions on this bucket, during the block.

    moto authorizes each request, except deletions of many objects: it asks for permission to delete the bucket where S3
    asks for one on each object, so those are authorized here.
    """
    user = User(server, bucket, set(rights))

    def decide(request: Request) -> Fate:
        if request.method == "POST" and "delete" in _asks(request):
            return _Deletion(user)
        user.asked_for.add(right_for(request))
        return user.hook(request)

    with ExitStack() as running:
        proxy = running.enter_context(proxy_before(server, decide))
        key_id, secret = _new_keys(user)
        user.s3 = replace(proxy.endpoint, access_key_id=key_id, secret_access_key=secret)
        running.enter_context(enable_iam_authentication())
        yield user


def _new_keys(user: User) -> tuple[str, str]:
    iam: Any = boto3.Session().client(
        "iam",
        endpoint_url=user.s3.url,
        region_name=user.s3.region,
        aws_access_key_id=user.s3.access_key_id,
        aws_secret_access_key=user.s3.secret_access_key,
    )
    name = f"user-{uuid.uuid4()}"
    iam.create_user(UserName=name)
    policy = json.dumps({"Version": "2012-10-17", "Statement": [*_statements(user)]})
    iam.put_user_policy(UserName=name, PolicyName="his", PolicyDocument=policy)
    keys = iam.create_access_key(UserName=name)["AccessKey"]
    return keys["AccessKeyId"], keys["SecretAccessKey"]


def _statements(user: User) -> Iterator[Mapping[str, str]]:
    for right in user.rights:
        keys = f"/{right.keys}" if right.keys else ""
        yield {"Effect": "Allow", "Action": right.action, "Resource": f"{_ARN}{user.bucket}{keys}"}
    # So that moto does not refuse them. On AWS this permission has no effect: buckets are not objects.
    yield {"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": f"{_ARN}{user.bucket}"}


@dataclass(frozen=True)
class _Deletion(Fate):
    """One request deletes many objects: each that the user may not delete is named in the answer."""

    user: User

    def befall(self, exchange: Exchange) -> None:
        body = exchange.body()
        taken = {
            key: Right("s3:DeleteObject", keys_with(key)) for key in re.findall("<Key>([^<]+)</Key>", body.decode())
        }
        self.user.asked_for.update(taken.values())
        refused = [key for key, right in taken.items() if right not in self.user.rights]
        if not refused:
            exchange.send(exchange.ask(body))
            return
        errors = "".join(f"<Error><Key>{key}</Key><Code>AccessDenied</Code></Error>" for key in refused)
        body = f"<DeleteResult>{errors}</DeleteResult>".encode()
        exchange.send(Answer(200, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], body))
