"""Apache Kafka: one broker that is its own controller (KRaft), as a child process on the loopback interface.

Maven fetches its jars, which are kept in the user's cache folder.
"""

import base64
import os
import re
import shutil
import signal
import subprocess
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from platformdirs import user_cache_path

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.local_stack.maven import Artifact, ensure_jars
from game_analytics.local_stack.ports import LOOPBACK, free_ports
from game_analytics.local_stack.processes import Child, Server, locked_log, start_child

KAFKA_VERSION = "4.4.0"
PASSWORDS = {"admin": "admin-local-only", "reader": "reader-local-only"}
"""By user of the SASL listener. They protect only a broker for tests and trials on this machine."""

LOG4J_VERSION = "2.25.5"  # Kafka brings it, without the binding that SLF4J needs
_OLDEST_JAVA = 17
_FORMATTED_WITHIN_SECONDS = 60.0
_READY_WITHIN_SECONDS = 180.0

_ARTIFACTS = (
    Artifact("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    Artifact("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION),
)

_LOGGING = """\
status = error
rootLogger = info, out
# Without 1,500 lines of settings at each start.
logger.settings.name = org.apache.kafka.common.config
logger.settings.level = warn
logger.broker_settings.name = kafka.server.KafkaConfig
logger.broker_settings.level = warn
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd HH:mm:ss.SSS} %-5p %m (%c{1})%n
"""


@dataclass(frozen=True)
class Kafka:
    """The Java program, and the folder of Kafka's jars."""

    java: Path
    jars: Path


def find_kafka(cache: Path | None = None, search_path: str | None = None) -> Kafka:
    """Find Java and Kafka's jars; Maven fetches the jars if the cache folder does not have them yet.

    Programs are looked up on ``search_path`` (default: the PATH), jars in ``cache`` (default: the user's cache folder).

    Raises:
        GameAnalyticsError: Java or Maven is missing or too old.
        Unavailable: Maven could not fetch the jars.
    """
    java = find_java(search_path)
    jars = (cache or user_cache_path("game_analytics")) / f"kafka-{KAFKA_VERSION}"
    ensure_jars(jars, f"Kafka {KAFKA_VERSION}", _ARTIFACTS, search_path)
    return Kafka(java, jars)


class Broker(Server):
    """A broker on a folder. Its ports stay the same when it is restarted."""

    def __init__(self, kafka: Kafka, folder: Path, port: int | None = None) -> None:
        """``port`` is for the listener without authentication; by default it takes a free one, as the others do."""
        self.folder = folder.resolve()
        super().__init__("Kafka", self.folder / "server.log")
        plain, sasl, oauth, controller = free_ports(4, [] if port is None else [port])
        self.bootstrap_servers = f"{LOOPBACK}:{port or plain}"
        """The listener without authentication."""
        self.sasl_bootstrap_servers = f"{LOOPBACK}:{sasl}"
        """The listener for the users of `PASSWORDS`: SASL_PLAINTEXT, mechanism PLAIN."""
        self.oauth_bootstrap_servers = f"{LOOPBACK}:{oauth}"
        """The listener for unsigned tokens, which anybody can make: SASL_PLAINTEXT, mechanism OAUTHBEARER. It ends a
        connection whose token has expired."""
        self._controller = f"{LOOPBACK}:{controller}"
        self._kafka = kafka

    @property
    def pid(self) -> int:
        """The process id of the last broker that was started here."""
        return int((self.folder / "broker.pid").read_text())

    def _start(self) -> None:
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        # Kafka's own lock comes too late: a second controller would write to the metadata before it checks that lock.
        with closing(locked_log(self.folder / "server.log", "A Kafka broker", "End it, and start again.")) as output:
            self._write_files()
            self._format(output)
            self._child = self._run(output)
        # Connections are refused until the broker listens, so librdkafka need not log that, nor back off further.
        admin = AdminClient(
            {"bootstrap.servers": self.bootstrap_servers, "log_level": 0, "reconnect.backoff.max.ms": 100}
        )
        self._wait_for_answer(self.bootstrap_servers, lambda: _refusal(admin), _READY_WITHIN_SECONDS)

    def kill(self) -> None:
        """End it by SIGKILL, without an orderly shutdown. Its next start takes 3 seconds longer."""
        if self._child is not None and not self._child.has_ended():
            os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def _log_lines(self) -> list[str]:
        """Without stack traces, which would hide the reasons."""
        return [line for line in super()._log_lines() if not line.startswith("\t")]

    def _run(self, output: IO[bytes]) -> Child:
        # The shell writes its process id and then becomes the broker: `kill` needs that id, not the tether's.
        noting_its_pid = ["/bin/sh", "-c", 'echo $$ > broker.pid && exec "$@"', "broker"]
        command = [*noting_its_pid, *self._java("-Xms256m", "-Xmx512m"), "kafka.Kafka", "server.properties"]
        return start_child(command, self.folder, self._environment(), output)

    def _java(self, *options: str) -> list[str | Path]:
        return [
            self._kafka.java,
            *options,
            # The cores are shared with what is tested, so total CPU time counts, not pauses. CPU seconds of the start
            # and of a million small messages: 2.3 and 1.1 with these two flags, 3.5 and 1.6 without the second; 3.6
            # and 2.0 with the G1 collector, 3.8 and 1.5 with the parallel one.
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",  # it would write a file in /tmp
            "-Djava.io.tmpdir=tmp",  # native libraries are unpacked there, and left behind by a kill
            "-Djava.net.preferIPv4Stack=true",
            "-Dlog4j2.configurationFile=log4j2.properties",
            "-cp",
            f"{self._kafka.jars}/*",
        ]

    def _environment(self) -> dict[str, str]:
        """Not the user's, whose options for Java are not meant for this broker."""
        return {"HOME": str(self.folder)}

    def _write_files(self) -> None:
        (self.folder / "log4j2.properties").write_text(_LOGGING)
        properties = self.folder / "server.properties"
        properties.touch(mode=0o600)
        properties.write_text("".join(f"{name}={value}\n" for name, value in self._settings().items()))

    def _settings(self) -> Mapping[str, str | float]:
        users = " ".join(f'user_{name}="{password}"' for name, password in PASSWORDS.items())
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@{self._controller}",
            "listeners": f"PLAINTEXT://{self.bootstrap_servers},SASL_PLAINTEXT://{self.sasl_bootstrap_servers},"
            f"OAUTH://{self.oauth_bootstrap_servers},CONTROLLER://{self._controller}",
            "listener.security.protocol.map": (
                "PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,OAUTH:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT"
            ),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.oauth.sasl.enabled.mechanisms": "OAUTHBEARER",
            "listener.name.oauth.oauthbearer.sasl.jaas.config": (
                "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;"
            ),
            # Without it a connection would outlive its token. A token's own end counts where it is sooner.
            "listener.name.oauth.oauthbearer.connections.max.reauth.ms": 3_600_000,
            "listener.name.sasl_plaintext.plain.sasl.jaas.config": (
                f"org.apache.kafka.common.security.plain.PlainLoginModule required {users};"
            ),
            # Clients of the listener without authentication may do everything; users what no ACL denies.
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "true",
            "super.users": "User:ANONYMOUS;User:admin",
            "log.dirs": "data",
            "auto.create.topics.enable": "false",
            # After a kill, the controller waits this long until it accepts the broker again.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            # The default would delete simulated days of last month as soon as they are written.
            "log.retention.ms": -1,
            # One broker, so one replica; one partition is enough.
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0,
            # Compaction and retention act within a second, so that tests need not wait for them.
            "log.initial.task.delay.ms": 500,
            "log.retention.check.interval.ms": 1000,
            "log.cleaner.backoff.ms": 500,
            "log.cleaner.min.compaction.lag.ms": 0,
            "log.cleaner.min.cleanable.ratio": 0.01,
            "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,  # the default is a quarter of this heap
            "log.segment.delete.delay.ms": 500,
        }

    def _format(self, output: IO[bytes]) -> None:
        """Write the cluster id into the data folder, which Kafka requires before the first start."""
        if (self.folder / "data" / "meta.properties").exists():
            return
        cluster_id = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        command = [*self._java(), "kafka.tools.StorageTool", "format"]
        options = ["--cluster-id", cluster_id, "--config", "server.properties"]
        try:
            subprocess.run(  # noqa: S603 (no shell)
                [*command, *options],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=_FORMATTED_WITHIN_SECONDS,
                check=True,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as failed:
            raise Unavailable(f"Kafka could not prepare {self.folder / 'data'}: {failed}\n{self.reasons()}") from failed


def _refusal(admin: AdminClient) -> object:
    try:
        return None if admin.list_topics(timeout=1).brokers else "it knows of no broker yet"
    except KafkaException as refusal:
        return refusal


def find_java(search_path: str | None = None) -> Path:
    """Java, new enough for the broker. Raises `GameAnalyticsError` if there is none."""
    how = f"Install Java {_OLDEST_JAVA} or newer (on Debian: apt-get install openjdk-17-jre-headless)."
    java = shutil.which("java", path=search_path)
    if java is None:
        raise GameAnalyticsError(f"A Kafka broker needs Java, and there is no java on the PATH. {how}")
    output = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr  # noqa: S603
    version = re.search(r'version "(\d+)', output)
    if version is None or int(version[1]) < _OLDEST_JAVA:
        raise GameAnalyticsError(f"A Kafka broker needs Java {_OLDEST_JAVA}, and {java} says: {output.strip()}\n{how}")
    return Path(java)
