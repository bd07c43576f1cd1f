"""Which log offsets are of: part of each manifest, and what every event log tells of itself. Pure."""

import msgspec


class LogIdentity(msgspec.Struct, frozen=True):
    """Which log was read. Offsets mean the same messages only in one and the same log."""

    topic: str
    topic_id: str | None = None
    """Kafka's own: a topic that is deleted and created again under its name gets another one. None where the log has
    none, as the simulated one, or where it is not known."""
    cluster_id: str | None = None

    def is_same_as(self, other: "LogIdentity") -> bool:
        """Whether nothing that is known of both differs."""
        ids = ((self.topic_id, other.topic_id), (self.cluster_id, other.cluster_id))
        return self.topic == other.topic and all(a == b for a, b in ids if a is not None and b is not None)

    def __str__(self) -> str:
        ids = {"topic id": self.topic_id, "cluster": self.cluster_id}
        known = ", ".join(f"{name} {value}" for name, value in ids.items() if value is not None)
        return f"{self.topic} ({known})" if known else self.topic
