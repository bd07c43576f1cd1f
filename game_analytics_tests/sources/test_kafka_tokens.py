"""Tokens for OAUTHBEARER: what the file asks for, which region they are for, and what is said when none can be made."""

import base64
import logging
import pickle
import re
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from game_analytics.errors import GameAnalyticsError
from game_analytics.sources.kafka.client import OPTIONS, KafkaSettings
from game_analytics.sources.kafka.log import KafkaEventLog
from game_analytics.sources.kafka.tokens import MskIamTokens
from game_analytics_tests.support.answering_s3 import Answer, answering
from game_analytics_tests.support.tokens import UnsignedTokens

SERVERS = "b-1.games.a1b2c3.c2.kafka.eu-west-1.amazonaws.com:9098"
ASKING = "security.protocol=SASL_SSL\nsasl.mechanism=OAUTHBEARER\ngame-analytics.token=aws-msk-iam\n"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without AWS settings or a role."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-for-a-log")


def settings_of(folder: Path, content: str = ASKING, servers: str = SERVERS) -> KafkaSettings:
    file = folder / "kafka.properties"
    file.write_text(content)
    return KafkaSettings.read(servers, "game-events", file)


def refusal_of(folder: Path, content: str = ASKING, servers: str = SERVERS) -> str:
    with pytest.raises(GameAnalyticsError) as refused:
        settings_of(folder, content, servers).client({})
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.usefixtures("credentials")
def test_a_token_of_msk_is_a_url_signed_for_the_clusters_region_and_valid_for_15_minutes(tmp_path: Path) -> None:
    token, expires = settings_of(tmp_path).client({})["oauth_cb"]("")
    url = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    asked = parse_qs(url.query)
    assert url.netloc == "kafka.eu-west-1.amazonaws.com"
    assert asked["Action"] == ["kafka-cluster:Connect"]
    assert asked["X-Amz-Credential"][0].split("/")[2:] == ["eu-west-1", "kafka-cluster", "aws4_request"]
    assert "not-for-a-log" not in token
    assert 890 < expires - time.time() <= 900


@pytest.mark.parametrize(
    ("servers", "region"),
    [
        (SERVERS, "eu-west-1"),
        ("b-1.x.kafka.us-gov-east-1.amazonaws.com:9098,b-2.x.kafka.us-gov-east-1.amazonaws.com:9098", "us-gov-east-1"),
        ("boot-a1.c1.kafka-serverless.us-east-2.amazonaws.com:9098", "us-east-2"),
        ("b-1.x.kafka.cn-north-1.amazonaws.com.cn:9098", "cn-north-1"),
        ("B-1.X.KAFKA.EU-WEST-1.AMAZONAWS.COM:9098", "eu-west-1"),
        ("kafka.games.example:9098", "ap-south-1"),
        ("b-1.x.kafka.eu-west-1.amazonaws.com.evil.example:9098", "ap-south-1"),
    ],
)
def test_the_region_is_the_one_in_the_servers_names_else_that_of_the_aws_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, servers: str, region: str
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-south-1")
    assert settings_of(tmp_path, servers=servers).tokens == MskIamTokens(region)


def test_the_region_variable_of_aws_services_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "sa-east-1")
    assert settings_of(tmp_path, servers="kafka.games.example:9098").tokens == MskIamTokens("sa-east-1")


def test_a_profile_that_does_not_exist_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "nobody" in refusal_of(tmp_path, servers="kafka.games.example:9098")


def test_without_any_region_the_variable_to_set_is_named(tmp_path: Path) -> None:
    message = refusal_of(tmp_path, servers="kafka.games.example:9098")
    assert "neither the servers (kafka.games.example:9098) nor the AWS settings name" in message
    assert "AWS_DEFAULT_REGION" in message


def test_without_credentials_no_client_is_made(tmp_path: Path) -> None:
    assert refusal_of(tmp_path).startswith(
        "No token for Kafka can be made from the AWS credentials: there are none. Give this process a role"
    )


def test_with_half_of_the_credentials_the_missing_half_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    assert "AWS_SECRET_ACCESS_KEY" in refusal_of(tmp_path)


def test_a_role_that_may_not_be_taken_is_told_in_the_words_of_aws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = tmp_path / "identity"
    identity.write_text("not-for-a-log")
    body = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not this role.</Message></Error></ErrorResponse>"
    with answering(Answer(403, body)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(identity))
        message = refusal_of(tmp_path)
    assert "AccessDenied" in message
    assert "Not this role" in message
    assert "not-for-a-log" not in message


def test_our_own_property_does_not_reach_librdkafka(tmp_path: Path) -> None:
    assert settings_of(tmp_path).properties == {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"}


def test_an_unknown_source_is_refused_and_not_repeated(tmp_path: Path) -> None:
    message = refusal_of(tmp_path, ASKING.replace("aws-msk-iam", "eyJhbGciOiJub25lIn0"))
    assert "game-analytics.token" in message
    assert "`aws-msk-iam` is expected" in message
    assert "KAFKA_CONFIG_FILE" in message
    assert "eyJ" not in message


def test_a_name_that_is_misspelt_is_refused_by_the_client(tmp_path: Path) -> None:
    with pytest.raises(GameAnalyticsError, match=re.escape("game-analytics.tokens")):
        KafkaEventLog(settings_of(tmp_path, "game-analytics.tokens=aws-msk-iam\n")).ensure_readable()


def test_the_option_is_named_where_the_file_was_given_by_one(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("game-analytics.token=aws\n")
    with pytest.raises(GameAnalyticsError, match="--config-file"):
        KafkaSettings.with_file(SERVERS, "game-events", file, OPTIONS)


@pytest.mark.parametrize(
    "other",
    [
        "",
        "security.protocol=SASL_SSL\n",
        "security.protocol=SASL_SSL\nsasl.mechanism=PLAIN\n",
        "sasl.mechanism=OAUTHBEARER\n",
        "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=OAUTHBEARER\n",
    ],
)
def test_the_token_is_shown_to_nobody_but_by_its_mechanism_over_tls(tmp_path: Path, other: str) -> None:
    message = refusal_of(tmp_path, f"{other}game-analytics.token=aws-msk-iam\n")
    assert "needs sasl.mechanism=OAUTHBEARER and security.protocol=SASL_SSL" in message


def test_librdkafkas_other_name_for_the_mechanism_counts_too(tmp_path: Path) -> None:
    content = "security.protocol=sasl_ssl\nsasl.mechanisms=OAUTHBEARER\ngame-analytics.token=aws-msk-iam\n"
    assert settings_of(tmp_path, content).tokens == MskIamTokens("eu-west-1")


@pytest.mark.usefixtures("credentials")
def test_the_settings_go_to_other_processes_and_show_nothing(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    sent = pickle.dumps(settings)
    assert pickle.loads(sent) == settings  # noqa: S301 - our own
    assert b"not-for-a-log" not in sent
    assert "oauth" not in repr(settings).lower()


def test_a_client_that_needs_no_token_gets_no_function() -> None:
    assert "oauth_cb" not in KafkaSettings(SERVERS, "game-events").client({})


def test_when_no_new_token_can_be_made_the_one_before_is_used_and_the_reason_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tokens = UnsignedTokens(seconds=60)
    callback = KafkaSettings(SERVERS, "game-events", tokens=tokens).client({})["oauth_cb"]
    first, renewed = callback(""), callback("")
    assert [first, renewed] == tokens.made
    tokens.fails = True
    with caplog.at_level(logging.WARNING):
        assert callback("") == renewed
    assert caplog.messages == ["The role is gone. The token that was made before is used until it expires."]
