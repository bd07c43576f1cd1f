"""The topic and how its cluster is reached, for consumers and producers.

Settings can be pickled, and never show passwords.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from game_analytics.errors import GameAnalyticsError
from game_analytics.sources.kafka.errors import error_of
from game_analytics.sources.kafka.names import servers_fault, topic_fault
from game_analytics.sources.kafka.properties import CLIENT_DEFAULTS, read_properties
from game_analytics.sources.kafka.tokens import TOKEN, Token, TokenSource, token_source


@dataclass(frozen=True)
class NamedBy:
    """The names of the variables or options to fix, for error messages: of the cluster, the topic, the properties
    file."""

    servers: str
    topic: str
    file: str


OPTIONS = NamedBy("--bootstrap-servers", "--topic", "--config-file")
VARIABLES = NamedBy("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_TOPIC", "KAFKA_CONFIG_FILE")


@dataclass(frozen=True)
class KafkaSettings:
    """A topic of a cluster, and how to reach it."""

    bootstrap_servers: str
    topic: str
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further properties of librdkafka. They may hold passwords, and are never shown."""
    patience: timedelta = timedelta(minutes=2)
    """How long a broker may deliver or accept nothing before reading or publishing fails."""
    answers_within: timedelta = timedelta(seconds=10)
    """How long the cluster may take to answer a question about the topic."""
    tokens: TokenSource | None = field(default=None, repr=False)
    """Where tokens for OAUTHBEARER come from; None if none are needed, or librdkafka makes them."""

    @classmethod
    def read(
        cls, servers: str, topic: str, config_file: Path | None, patience: timedelta = timedelta(minutes=2)
    ) -> "KafkaSettings":
        """With the properties of the file. Raises `GameAnalyticsError` that names the environment variable if servers,
        topic or file are malformed."""
        cls(servers, topic).ensure_well_formed(VARIABLES)
        return cls.with_file(servers, topic, config_file, VARIABLES, patience)

    @classmethod
    def with_file(
        cls,
        servers: str,
        topic: str,
        config_file: Path | None,
        named_by: NamedBy,
        patience: timedelta = timedelta(minutes=2),
    ) -> "KafkaSettings":
        """With the properties of the file; servers and topic are not looked at. Raises `GameAnalyticsError` if the file
        is malformed."""
        properties = {} if config_file is None else read_properties(config_file)
        tokens = token_source(properties, servers, named_by.file)
        for_librdkafka = {name: value for name, value in properties.items() if name != TOKEN}
        return cls(servers, topic, for_librdkafka, patience, tokens=tokens)

    def client(self, own: Mapping[str, str]) -> dict[str, Any]:
        """The properties of a client: our defaults and its ``own``, unless the file says otherwise, on this cluster.
        Texts, and a function if it needs tokens.

        Raises `GameAnalyticsError` if it needs a token and none can be made.
        """
        texts = {**CLIENT_DEFAULTS, **own, **self.properties, "bootstrap.servers": self.bootstrap_servers}
        return {**texts, "oauth_cb": _RenewedToken(self.tokens)} if self.tokens is not None else {**texts}

    def ensure_well_formed(self, named_by: NamedBy) -> None:
        """Raises `GameAnalyticsError` if servers or topic are malformed. Checked without a client, which would search
        for such a host or topic until its timeout."""
        servers, topic = servers_fault(self.bootstrap_servers), topic_fault(self.topic)
        if servers is not None:
            advice = f"SASL and TLS are set in the file that {named_by.file} names."
            raise GameAnalyticsError(f"{named_by.servers} {servers}. {advice}")
        if topic is not None:
            raise GameAnalyticsError(f"{named_by.topic} {topic}")

    @contextmanager
    def readable_refusals(self, named_by: str) -> Iterator[None]:
        """Turn librdkafka's refusal of properties within the block into a `GameAnalyticsError`. ``named_by``: the
        variable or option that names the file to fix."""
        try:
            yield
        except KafkaException as failure:
            raise GameAnalyticsError(
                f"Kafka's client can't be created: {self._without_values(error_of(failure).str())}. Fix the file that "
                f"{named_by} names."
            ) from None

    def _without_values(self, text: str) -> str:
        """librdkafka names properties, and sometimes their values, which may be secrets."""
        for value in self.properties.values():
            text = text.replace(f'"{value}"', '"…"')
            text = text.removesuffix(value) + "…" if text.endswith(f": {value}") else text
        return text.rstrip(".")


class _RenewedToken:
    """A token, and what librdkafka calls, from a thread of its own, whenever four fifths of its life are over.

    The first one is made at once: within the callback its failure would be lost (confluent-kafka 2.16 waits ten seconds
    for a token, and then raises an error of its own). Later ones may fail in any way, and none may leave the callback:
    the interpreter would report it elsewhere.
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._latest = source.token()
        self._is_new = True

    def __call__(self, _config: str) -> Token:
        if self._is_new:
            self._is_new = False
            return self._latest
        try:
            self._latest = self._source.token()
        except Exception as failure:
            # Once it has expired, librdkafka reports that, and asks again every ten seconds.
            logging.getLogger(__name__).warning("%s The token that was made before is used until it expires.", failure)
        return self._latest
