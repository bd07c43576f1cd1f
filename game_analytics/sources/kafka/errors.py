"""Errors of librdkafka as one line that names the cluster, the topic and the next step. They never contain
credentials."""

import re
from collections import deque
from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException

from game_analytics.errors import GameAnalyticsError, Unavailable

_WRONG_CREDENTIALS = {KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED}
UNKNOWN_TOPIC = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION}
_DENIED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED}
NO_ANSWER = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._WAIT_COORD,
    KafkaError.REQUEST_TIMED_OUT,
}
NOT_READY = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError._NOENT,  # the client's error when a restarted broker knows no leader yet
}
"""Answers of brokers while partitions are created or moved. `KafkaError.retriable` is not set on answers."""

DAMAGED = {KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError._NOT_IMPLEMENTED}
"""Messages that arrived damaged."""

_DROPPED = {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT, KafkaError._FATAL}
"""Errors of messages that a producer dropped because another one had failed."""

PERMANENT = _WRONG_CREDENTIALS | _DENIED | {KafkaError._SSL, KafkaError._AUTO_OFFSET_RESET}
"""Errors that waiting does not fix."""


class RecentErrors:
    """Errors that librdkafka's background threads reported since the last reset; passed to a client as ``error_cb``."""

    def __init__(self) -> None:
        self._latest: deque[KafkaError] = deque(maxlen=20)

    def __call__(self, error: KafkaError) -> None:
        self._latest.append(error)

    def reset(self) -> None:
        self._latest.clear()

    def worst(self) -> KafkaError | None:
        """A permanent error if there is one, else the latest that is more specific than "all brokers down"."""
        specific = [error for error in self._latest if error.code() != KafkaError._ALL_BROKERS_DOWN]
        permanent = [error for error in specific if error.code() in PERMANENT]
        return next(reversed(permanent or specific or self._latest), None)


def error_of(failure: KafkaException) -> KafkaError:
    """The error in an exception of librdkafka."""
    error: KafkaError = failure.args[0]
    return error


def cause_among(failures: Iterable[KafkaError]) -> KafkaError | None:
    """The first of a producer's failures that is no consequence of another one; None if all are."""
    return next((error for error in failures if error.code() not in _DROPPED), None)


def reason(error: KafkaError) -> str:
    """Name and text of the error, for use within a sentence."""
    return f"{error.name()}: {error.str()}".rstrip(".")


_OF_A_BROKER = re.compile(r"(?:[a-z_]+://)?(?P<address>[^/\s]+)/(?P<number>[0-9]+): ")
"""Start of an error about a broker that the cluster has named; for bootstrap servers it has /bootstrap instead."""


def unreachable_advice(error: KafkaError, bootstrap_servers: str) -> str | None:
    """The next step if the error is about a broker at an address that only the cluster has named; else None."""
    broker = _OF_A_BROKER.match(error.str())
    if error.code() not in NO_ANSWER or broker is None:
        return None
    if broker["address"] in {server.strip() for server in bootstrap_servers.split(",")}:
        return None
    return (
        f"The cluster tells its clients to reach broker {broker['number']} at {broker['address']}, which can't be "
        "reached from here: check advertised.listeners of that broker, and whether this machine can resolve and reach "
        "that address."
    )


def explain(error: KafkaError, cluster: str, topic: str) -> GameAnalyticsError:
    """The error as one of this package: `Unavailable` if a later try may succeed."""
    where, why = f"Kafka at {cluster}", reason(error)
    if error.code() in NO_ANSWER:
        advice = unreachable_advice(error, cluster) or (
            "Start it, or check KAFKA_BOOTSTRAP_SERVERS, and security.protocol in the file that KAFKA_CONFIG_FILE "
            "names."
        )
        return Unavailable(f"{where} does not answer ({why}). {advice}")
    if error.code() in NOT_READY:
        return Unavailable(f"{where} is not ready to serve the topic {topic} ({why}). Try again later.")
    return GameAnalyticsError(f"{where} {_verdict(error.code(), topic, why)}")


def _verdict(code: int, topic: str, why: str) -> str:
    if code in _WRONG_CREDENTIALS:
        return (
            f"refuses the credentials ({why}). Check sasl.mechanism, and sasl.username and sasl.password or what makes "
            "the token, in the file that KAFKA_CONFIG_FILE names."
        )
    if code == KafkaError._SSL:
        return (
            f"gives no TLS connection ({why}). Check security.protocol and the ssl.* properties in the file that "
            "KAFKA_CONFIG_FILE names."
        )
    if code in UNKNOWN_TOPIC:
        return (
            f"has no topic {topic}, or hides it from this user ({why}). Set KAFKA_TOPIC to the one that holds the "
            "events, or create it."
        )
    if code in _DENIED:
        return (
            f"does not let this user read the topic {topic} ({why}). Allow READ and DESCRIBE on it by an ACL, or "
            "name another user in the file that KAFKA_CONFIG_FILE names."
        )
    return f"answers for the topic {topic}: {why}."
