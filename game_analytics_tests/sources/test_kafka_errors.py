"""What librdkafka reports, as a line that names cluster, topic and next step."""

import pytest
from confluent_kafka import KafkaError

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.sources.kafka.errors import (
    NOT_READY,
    PERMANENT,
    RecentErrors,
    cause_among,
    explain,
    unreachable_advice,
)


def explained(code: int, reason: str = "so it is") -> GameAnalyticsError:
    return explain(KafkaError(code, reason), "kafka-1:9092", "game-events")


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._WAIT_COORD,
        KafkaError.REQUEST_TIMED_OUT,
    ],
)
def test_a_cluster_that_does_not_answer_may_answer_later(code: int) -> None:
    error = explained(code)
    assert isinstance(error, Unavailable)
    assert not error.waited
    assert str(error) == (
        f"Kafka at kafka-1:9092 does not answer ({KafkaError(code).name()}: so it is). Start it, or check "
        "KAFKA_BOOTSTRAP_SERVERS, and security.protocol in the file that KAFKA_CONFIG_FILE names."
    )


@pytest.mark.parametrize("code", sorted(NOT_READY))
def test_what_brokers_answer_while_partitions_move_may_pass(code: int) -> None:
    error = explained(code)
    assert isinstance(error, Unavailable)
    assert "Kafka at kafka-1:9092 is not ready to serve the topic game-events (" in str(error)
    assert KafkaError(code).name() in str(error)


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        (KafkaError._AUTHENTICATION, ["refuses the credentials", "so it is", "sasl.password", "KAFKA_CONFIG_FILE"]),
        (KafkaError.SASL_AUTHENTICATION_FAILED, ["refuses the credentials", "sasl.username", "KAFKA_CONFIG_FILE"]),
        (KafkaError._SSL, ["gives no TLS connection", "so it is", "security.protocol", "ssl.*"]),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, ["has no topic game-events, or hides it", "KAFKA_TOPIC"]),
        (KafkaError._UNKNOWN_TOPIC, ["has no topic game-events, or hides it", "KAFKA_TOPIC"]),
        (KafkaError._UNKNOWN_PARTITION, ["has no topic game-events, or hides it", "KAFKA_TOPIC"]),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, ["does not let this user read the topic game-events", "ACL"]),
        (KafkaError.CLUSTER_AUTHORIZATION_FAILED, ["does not let this user read the topic game-events", "ACL"]),
        (KafkaError.OFFSET_OUT_OF_RANGE, ["answers for the topic game-events: OFFSET_OUT_OF_RANGE: so it is."]),
        (KafkaError._FAIL, ["answers for the topic game-events: _FAIL: so it is."]),
    ],
)
def test_what_will_not_pass_by_itself_says_what_to_do(code: int, parts: list[str]) -> None:
    error = explained(code)
    assert not isinstance(error, Unavailable)
    assert str(error).startswith("Kafka at kafka-1:9092 ")
    for part in parts:
        assert part in str(error)


def test_a_reason_that_ends_a_sentence_does_not_end_it_twice() -> None:
    assert ".." not in str(explained(KafkaError._FAIL, "It broke."))


def test_an_error_of_many_lines_or_colours_is_shown_as_text() -> None:
    assert "\x1b" not in str(explained(KafkaError._FAIL, "\x1b[31mred"))


def test_faults_that_waiting_does_not_mend_are_never_unavailable() -> None:
    assert KafkaError._AUTHENTICATION in PERMANENT
    assert KafkaError.TOPIC_AUTHORIZATION_FAILED in PERMANENT
    for code in PERMANENT:
        assert not isinstance(explained(code), Unavailable)


def heard(*codes: int) -> RecentErrors:
    recent_errors = RecentErrors()
    for number, code in enumerate(codes):
        recent_errors(KafkaError(code, f"complaint {number}"))
    return recent_errors


def worst_of(*codes: int) -> str | None:
    worst = heard(*codes).worst()
    return None if worst is None else worst.str()


def test_who_heard_nothing_has_nothing_to_complain_about() -> None:
    assert worst_of() is None


def test_the_latest_complaint_counts() -> None:
    assert worst_of(KafkaError._RESOLVE, KafkaError._TRANSPORT) == "complaint 1"


def test_a_complaint_that_waiting_does_not_mend_counts_more_than_later_ones() -> None:
    assert worst_of(KafkaError._AUTHENTICATION, KafkaError._TRANSPORT) == "complaint 0"
    assert worst_of(KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError._TRANSPORT) == "complaint 1"


def test_that_all_is_down_counts_only_where_nobody_says_why() -> None:
    assert worst_of(KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN) == "complaint 0"
    assert worst_of(KafkaError._ALL_BROKERS_DOWN) == "complaint 0"


def test_what_was_forgotten_is_not_told_again() -> None:
    recent_errors = heard(KafkaError._AUTHENTICATION)
    recent_errors.reset()
    assert recent_errors.worst() is None


def test_a_client_that_complains_for_hours_fills_no_memory() -> None:
    """Of very many complaints only the last ones are kept, so the first is out of sight."""
    assert worst_of(KafkaError._AUTHENTICATION, *[KafkaError._TRANSPORT] * 1_000) == "complaint 1000"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (KafkaError._RESOLVE, "kafka-7:9092/7: Failed to resolve 'kafka-7:9092': Name or service not known"),
        (KafkaError._TRANSPORT, "kafka-7:9092/7: Connect to ipv4#10.0.0.7:9092 failed: Connection refused"),
        (KafkaError._TRANSPORT, "sasl_ssl://kafka-7:9092/7: Connection setup timed out in state CONNECT"),
        (KafkaError._TRANSPORT, "[fe80::7]:9092/7: Connect to ipv6#[fe80::7]:9092 failed: Network is unreachable"),
    ],
)
def test_an_address_that_only_the_cluster_names_is_its_advertised_one(code: int, told: str) -> None:
    error = explained(code, told)
    assert isinstance(error, Unavailable)
    assert told in str(error)
    assert "broker 7 at " in str(error)
    assert "check advertised.listeners of that broker" in str(error)
    assert "KAFKA_BOOTSTRAP_SERVERS" not in str(error)


@pytest.mark.parametrize(
    "told",
    [
        "kafka-1:9092/bootstrap: Failed to resolve 'kafka-1:9092': Name or service not known",
        "kafka-1:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused",  # the one that was named here
        "kafka-2:9092/2: Connect to ipv4#10.0.0.2:9092 failed: Connection refused",
        "1/1 brokers are down",
        "Local: Timed out",
    ],
)
def test_an_address_that_was_named_here_is_not_blamed_on_the_cluster(told: str) -> None:
    assert unreachable_advice(KafkaError(KafkaError._TRANSPORT, told), "kafka-1:9092, kafka-2:9092") is None


def test_of_the_failures_of_a_producer_the_one_that_others_followed_from_is_the_cause() -> None:
    codes = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT, KafkaError._FATAL, KafkaError.MSG_SIZE_TOO_LARGE)
    failures = [KafkaError(code) for code in (*codes, KafkaError.TOPIC_AUTHORIZATION_FAILED)]
    found = cause_among(failures)
    assert found is not None
    assert found.code() == KafkaError.MSG_SIZE_TOO_LARGE
    assert cause_among(failures[:3]) is None
