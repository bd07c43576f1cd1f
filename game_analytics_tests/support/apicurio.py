"""Apicurio Registry, a real Schema Registry, as a child process on this machine, in memory; and its Java serializer.

Maven fetches both; they are kept next to the broker's jars.
"""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.kafka_broker import Kafka
from game_analytics.local_stack.maven import Artifact, ensure_jars
from game_analytics.local_stack.ports import LOOPBACK, free_ports
from game_analytics.local_stack.processes import Server, locked_log, start_child
from game_analytics_tests.support.fetched import by_maven

VERSION = "2.6.13.Final"  # the last one for Java 17

_ARTIFACT = f"io.apicurio:apicurio-registry-app:{VERSION}:zip:all"
_SERIALIZER = (Artifact("io.apicurio", "apicurio-registry-serdes-avro-serde", VERSION),)
_READY_WITHIN_SECONDS = 90.0
_PRODUCER = Path(__file__).parent / "AvroProducer.java"


class Apicurio(Server):
    """A registry, empty at each start."""

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        """Raises `GameAnalyticsError` if there is no Maven, `Unavailable` if Maven could not fetch it."""
        super().__init__("Apicurio Registry", folder / "registry.log")
        self._java = kafka.java
        self._folder = folder
        fetched = by_maven(kafka.jars.parent / f"apicurio-{VERSION}.zip", _ARTIFACT)
        [self._archive] = fetched.glob("*.zip")
        self._serializer = kafka.jars.parent / f"apicurio-avro-{VERSION}"
        [port] = free_ports(1)
        self._address = f"{LOOPBACK}:{port}"
        self.url = f"http://{self._address}/apis/ccompat/v7"
        """For Confluent's clients."""

    def _start(self) -> None:
        program = self._folder / "program"
        with zipfile.ZipFile(self._archive) as packed:
            packed.extractall(program)
        host, port = self._address.split(":")
        command: list[str | Path] = [
            self._java,
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Dquarkus.http.host={host}",
            f"-Dquarkus.http.port={port}",
            "-jar",
            program / f"apicurio-registry-app-{VERSION}-runner.jar",
        ]
        with closing(locked_log(self._folder / "registry.log", "An Apicurio Registry", "End it.")) as output:
            self._child = start_child(command, self._folder, {"HOME": str(self._folder)}, output)
        self._wait_for_answer(self._address, self._refusal, _READY_WITHIN_SECONDS)

    def _refusal(self) -> str | None:
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=2):  # noqa: S310 - our own server
                return None
        except (urllib.error.URLError, OSError) as error:
            return str(error)

    def produce_from_java(
        self,
        bootstrap_servers: str,
        topic: str,
        schema: str,
        messages: Sequence[tuple[int, bytes | None, Mapping[str, str] | None, int]],
    ) -> None:
        """Send messages by Kafka's Java client and Apicurio's Avro serializer, with the id in the value, as 4 bytes.

        ``messages``: partition, value, fields, timestamp in ms since 1970; without fields the value is sent as it is.
        """
        ensure_jars(self._serializer, f"Apicurio's serializer {VERSION}", _SERIALIZER)
        lines = [
            f"{partition}\t{timestamp}\t{_kind_and_bytes(value, fields)}"
            for partition, value, fields, timestamp in messages
        ]
        done = subprocess.run(  # noqa: S603 - our own program, no shell
            [
                self._java,
                "-XX:TieredStopAtLevel=1",
                "-cp",
                f"{self._serializer}/*",
                _PRODUCER,
                bootstrap_servers,
                topic,
                f"http://{self._address}/apis/registry/v2",
                schema,
            ],
            input="\n".join(lines),
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def find_compiler() -> str:
    """Java's compiler, which `produce_from_java` needs. Raises `GameAnalyticsError` if there is none."""
    found = shutil.which("javac")
    if found is None:
        raise GameAnalyticsError("There is no javac. Install it (on Debian: apt-get install openjdk-17-jdk-headless).")
    return found


def _kind_and_bytes(value: bytes | None, fields: Mapping[str, str] | None) -> str:
    if fields is not None:
        return f"record\t{json.dumps(fields).encode().hex()}"
    return "tombstone" if value is None else f"value\t{value.hex()}"
