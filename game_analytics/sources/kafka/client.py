"""The topic and how its cluster is reached, for consumers and producers.

Settings can be pickled, and never show passwords.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from confluent_kafka import KafkaException

from game_analytics.errors import GameAnalyticsError
from game_analytics.sources.kafka.errors import error_of
from game_analytics.sources.kafka.names import servers_fault, topic_fault
from game_analytics.sources.kafka.properties import CLIENT_DEFAULTS, read_properties


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

    @classmethod
    def read(
        cls, servers: str, topic: str, config_file: Path | None, patience: timedelta = timedelta(minutes=2)
    ) -> "KafkaSettings":
        """With the properties of the file. Raises `GameAnalyticsError` that names the environment variable if servers,
        topic or file are malformed."""
        properties = {} if config_file is None else read_properties(config_file)
        settings = cls(servers, topic, properties, patience)
        settings.ensure_well_formed(VARIABLES)
        return settings

    def client(self, own: Mapping[str, str]) -> dict[str, str | int | float | bool]:
        """The properties of a client: our defaults and its ``own``, unless the file says otherwise, on this cluster."""
        return {**CLIENT_DEFAULTS, **own, **self.properties, "bootstrap.servers": self.bootstrap_servers}

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
