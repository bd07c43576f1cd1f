"""The syntax of bootstrap servers and topic names. Needs no cluster and no Kafka client."""

import re

_SERVER = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[^\s:/@,\[\]]+)(:[0-9]{1,5})?")
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")  # Kafka's own rule


def servers_fault(servers: str) -> str | None:
    """What is wrong with comma-separated ``host:port`` pairs; None if nothing."""
    for server in (each.strip() for each in servers.split(",")):
        if not _SERVER.fullmatch(server):
            return (
                f"names {_without_user(server)!r}; `host:port` is expected, several by commas, without a protocol: "
                "kafka-1:9092,kafka-2:9092"
            )
    return None


def topic_fault(topic: str) -> str | None:
    """What is wrong with a topic's name; None if nothing."""
    if _TOPIC.fullmatch(topic):
        return None
    return (
        f"is {topic!r}; the name of one topic is expected, neither a list nor a pattern: letters, digits, `.`, `_` and "
        "`-`, at most 249. Name the topic that holds the events."
    )


def _without_user(server: str) -> str:
    """A URL may hold a password."""
    return re.sub(r"[^/]*@", "…@", server)
