"""S3 servers of others as child processes: gofakes3, and S3Mock as the bad example."""

import http.client
from contextlib import closing
from pathlib import Path

from platformdirs import user_cache_path

from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.local_stack.kafka_broker import find_java
from game_analytics.local_stack.ports import LOOPBACK, free_ports
from game_analytics.local_stack.processes import Server, locked_log, start_child
from game_analytics_tests.support.fetched import by_go, by_maven

GOFAKES3 = "1.2.0"
S3MOCK = "4.9.1"
_READY_WITHIN_SECONDS = 90.0


class OtherServer(Server):
    """A server that asks for no credentials."""

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(name, folder / "server.log")
        self._folder = folder
        self._port, self._spare_port = free_ports(2)
        self._address = f"{LOOPBACK}:{self._port}"
        self.endpoint = S3Endpoint(f"http://{self._address}", "key", "secret")

    def _command(self) -> list[str | Path]:
        raise NotImplementedError

    def _start(self) -> None:
        with closing(locked_log(self._folder / "server.log", self.name, "End it.")) as output:
            self._child = start_child(self._command(), self._folder, {"HOME": str(self._folder)}, output)
        self._wait_for_answer(self.endpoint.url, self._refusal, _READY_WITHIN_SECONDS)

    def _refusal(self) -> str | None:
        try:
            with closing(http.client.HTTPConnection(LOOPBACK, self._port, timeout=2)) as connection:
                connection.request("GET", "/")
                connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            return str(error)
        return None


class GoFakeS3(OtherServer):
    """Built by Go."""

    def __init__(self, folder: Path) -> None:
        super().__init__("gofakes3", folder)
        package = f"github.com/johannesboyne/gofakes3/cmd/gofakes3@v{GOFAKES3}"
        self._program = by_go(user_cache_path("game_analytics") / f"gofakes3-{GOFAKES3}", package) / "gofakes3"

    def _command(self) -> list[str | Path]:
        return [self._program, "-host", self._address, "-backend", "memory"]


class S3Mock(OtherServer):
    """Adobe's, fetched by Maven. Loses updates of several writers."""

    def __init__(self, folder: Path) -> None:
        super().__init__("S3Mock", folder)
        self._java = find_java()
        artifact = f"com.adobe.testing:s3mock:{S3MOCK}:jar:exec"
        fetched = by_maven(user_cache_path("game_analytics") / f"s3mock-{S3MOCK}", artifact)
        self._jar = fetched / f"s3mock-{S3MOCK}-exec.jar"

    def _command(self) -> list[str | Path]:
        return [
            self._java,
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            f"-Djava.io.tmpdir={self._folder}",
            f"-Dserver.address={LOOPBACK}",
            f"-Dserver.port={self._spare_port}",
            f"-Dcom.adobe.testing.s3mock.httpPort={self._port}",
            "-jar",
            self._jar,
        ]
