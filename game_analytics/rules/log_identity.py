"""The identity of an event log, part of each manifest: offsets of different logs must not be compared. Pure."""

import msgspec


class LogIdentity(msgspec.Struct, frozen=True):
    """Which log was read. An offset names the same message only within one log."""

    topic: str
    topic_id: str | None = None
    """Kafka's topic id, which changes when a topic is deleted and created again under its name. None for the simulated
    log, which has none, or if it is not known."""
    cluster_id: str | None = None

    def is_same_as(self, other: "LogIdentity") -> bool:
        """Whether topics are equal, and so are the ids that are known of both."""
        ids = ((self.topic_id, other.topic_id), (self.cluster_id, other.cluster_id))
        return self.topic == other.topic and all(a == b for a, b in ids if a is not None and b is not None)

    def __str__(self) -> str:
        ids = {"topic id": self.topic_id, "cluster": self.cluster_id}
        known = ", ".join(f"{name} {value}" for name, value in ids.items() if value is not None)
        return f"{self.topic} ({known})" if known else self.topic
