"""MirrorMaker 2, which copies a topic from one alias of a cluster to another, as a child process on this machine.

Maven fetches its jars, which are kept next to the broker's. It opens no port.
"""

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from game_analytics.local_stack.kafka_broker import LOG4J_VERSION, Broker, Kafka
from game_analytics.local_stack.maven import Artifact, ensure_jars
from game_analytics.local_stack.processes import Server, locked_log, start_child
from game_analytics_tests.support.topics import Topic

MIRROR_VERSION = "4.3.1"

_COPIED_WITHIN_SECONDS = 90.0
_LOOK_EVERY_SECONDS = 0.1

_ARTIFACTS = (
    Artifact("org.apache.kafka", "connect-mirror", MIRROR_VERSION),
    Artifact("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION),
)

_LOGGING = """\
status = error
rootLogger = warn, out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd HH:mm:ss.SSS} %-5p %m (%c{1})%n
"""


@dataclass(frozen=True)
class MirrorMaker:
    """Java and the jars of a mirror."""

    java: Path
    jars: Path


def find_mirror_maker(kafka: Kafka) -> MirrorMaker:
    """Find the broker's Java, and fetch the jars with Maven unless they are there.

    Raises:
        GameAnalyticsError: there is no Maven to fetch them.
        Unavailable: Maven could not fetch them.
    """
    jars = kafka.jars.parent / f"mirror-{MIRROR_VERSION}"
    ensure_jars(jars, f"MirrorMaker {MIRROR_VERSION}", _ARTIFACTS)
    return MirrorMaker(kafka.java, jars)


class Mirror(Server):
    """Copies one topic of a broker to ``source.<topic>`` on the same one, and resumes after a restart."""

    def __init__(self, maker: MirrorMaker, broker: Broker, topic: str, folder: Path) -> None:
        super().__init__("MirrorMaker", folder / "mirror.log")
        self.target = Topic(broker, f"source.{topic}")
        self._maker = maker
        self._folder = folder
        self._settings = _settings(broker.bootstrap_servers, topic)

    def _start(self) -> None:
        (self._folder / "tmp").mkdir(exist_ok=True)
        (self._folder / "log4j2.properties").write_text(_LOGGING)
        (self._folder / "mm2.properties").write_text("".join(f"{name}={at}\n" for name, at in self._settings.items()))
        with closing(
            locked_log(self._folder / "mirror.log", "A mirror", "End it, and start again.", keep=True)
        ) as output:
            self._child = start_child(self._command(), self._folder, {"HOME": str(self._folder)}, output)

    def wait_for(self, count: int) -> None:
        """Wait until its target, with one partition, holds this many messages."""
        end = time.monotonic() + _COPIED_WITHIN_SECONDS
        while (ends := self.target.ends()).get(0, 0) < count:
            assert not self.has_ended(), f"the mirror ended ({self.how_it_ended()}). {self.reasons()}"
            assert time.monotonic() < end, f"{ends} instead of {count}. {self.reasons()}"
            time.sleep(_LOOK_EVERY_SECONDS)

    def _command(self) -> list[str | Path]:
        return [
            self._maker.java,
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-Djava.io.tmpdir=tmp",
            "-Djava.net.preferIPv4Stack=true",
            "-Dlog4j2.configurationFile=log4j2.properties",
            "-cp",
            f"{self._maker.jars}/*",
            "org.apache.kafka.connect.mirror.MirrorMaker",
            "mm2.properties",
        ]


def _settings(bootstrap_servers: str, topic: str) -> dict[str, str | int]:
    return {
        "clusters": "source, target",
        "source.bootstrap.servers": bootstrap_servers,
        "target.bootstrap.servers": bootstrap_servers,
        "source->target.enabled": "true",
        "source->target.topics": topic,
        "target->source.enabled": "false",
        "dedicated.mode.enable.internal.rest": "false",
        "emit.heartbeats.enabled": "false",
        "emit.checkpoints.enabled": "false",
        "sync.topic.configs.enabled": "false",
        "sync.topic.acls.enabled": "false",
        "refresh.topics.interval.seconds": 1,
        "tasks.max": 1,
        # One broker.
        "replication.factor": 1,
        "offset-syncs.topic.replication.factor": 1,
        "heartbeats.topic.replication.factor": 1,  # created even if nothing is sent to it
        "config.storage.replication.factor": 1,
        "offset.storage.replication.factor": 1,
        "offset.storage.partitions": 1,
        "status.storage.replication.factor": 1,
        "status.storage.partitions": 1,
        # Settings of the worker have the prefix of the cluster that holds its internal topics.
        # By default a restarted worker may wait five minutes for its predecessor.
        "target.scheduled.rebalance.max.delay.ms": 0,
        # By default both scan all jars.
        "plugin.discovery": "service_load",
        "target.plugin.discovery": "service_load",
    }
