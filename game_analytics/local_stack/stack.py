"""`game-analytics stack`: what `docker compose up` runs, as processes of this machine: Kafka, S3, PostgreSQL, and the
code location, the webserver and the daemon with the commands and the `dagster.yaml` of the containers.

A part that ends by itself is restarted, as a container would be; one that cannot start is reported and retried.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.local_stack.environment import with_stack, without_settings, write_shell_file
from game_analytics.local_stack.kafka_broker import Broker, find_kafka
from game_analytics.local_stack.ports import LOOPBACK
from game_analytics.local_stack.postgres import Postgres, find_postgres
from game_analytics.local_stack.processes import Server, locked_log, start_child
from game_analytics.local_stack.running import StackPlaces, only_one, say, shown
from game_analytics.local_stack.seaweedfs import ACCESS_KEY_ID, SECRET_ACCESS_KEY, WHEEL, SeaweedFS, find_weed
from game_analytics.local_stack.stop_signal import stop_signals
from game_analytics.local_stack.supervisor import ENDED_WELL, Part, Port, run_parts

TOPIC = "game-events"
SERVICES: Mapping[str, Sequence[str]] = {name: ("serve", name) for name in ("code", "webserver", "daemon")}
"""The deployment's three services: the arguments of `game-analytics`, by name."""

PREPARE = ("prepare", "--wait-seconds", "120")

_POSTGRES = "dagster"
_POSTGRES_PASSWORD = "local-only"  # noqa: S105 (of a server for trials on this machine)


@dataclass(frozen=True)
class StackSettings(StackPlaces):
    """Where the stack keeps its files, where its deployment is described, and on which ports its parts listen."""

    directory: Path
    deployment: Path
    """The folder with the containers' `dagster.yaml` and `workspace.yaml`."""
    bucket: str
    ui_port: int = 3000
    s3_port: int = 8333
    kafka_port: int = 9092
    postgres_port: int = 15432
    """Not 5432, where the server listens that the system's package may have started."""
    code_port: int = 4000
    with_demo: bool = False
    """Publish simulated matches of the last seven days, and then more as they happen."""

    @property
    def logs(self) -> Path:
        """The folder of the programs' logs; Kafka, S3 and PostgreSQL have theirs beside their data."""
        return self.directory.resolve() / "logs"

    @property
    def ports(self) -> list[int]:
        return [self.ui_port, self.s3_port, self.kafka_port, self.postgres_port, self.code_port]

    def variables(self) -> dict[str, str]:
        """The environment variables of the services, with the same names as in the containers."""
        return {
            "DAGSTER_HOME": str(self.dagster_home),
            "DAGSTER_GRPC_HOST": LOOPBACK,
            "DAGSTER_GRPC_PORT": str(self.code_port),
            "DAGSTER_WEBSERVER_HOST": LOOPBACK,
            "DAGSTER_WEBSERVER_PORT": str(self.ui_port),
            "DAGSTER_DAEMON_HEARTBEAT_TOLERANCE": "120",
            "CODE_LOCATION_HOST": LOOPBACK,
            "CODE_LOCATION_PORT": str(self.code_port),
            "POSTGRES_HOST": LOOPBACK,
            "POSTGRES_PORT": str(self.postgres_port),
            "POSTGRES_USER": _POSTGRES,
            "POSTGRES_PASSWORD": _POSTGRES_PASSWORD,
            "POSTGRES_DB": _POSTGRES,
            "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{self.kafka_port}",
            "KAFKA_TOPIC": TOPIC,
            "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{self.s3_port}",
            "AWS_DEFAULT_REGION": S3Endpoint.region,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "GAME_ANALYTICS_BUCKET": self.bucket,
            "GAME_ANALYTICS_UI_URL": self.ui_url,
            "GAME_ANALYTICS_WORKERS": "2",
            "GAME_ANALYTICS_ALERT_WEBHOOK": "",  # no alerts from a trial
        }


def producer(bootstrap_servers: str) -> Sequence[str]:
    """The arguments of `game-analytics` that publish simulated matches as they happen."""
    return ("produce", "--bootstrap-servers", bootstrap_servers, "--topic", TOPIC, "--follow")


@dataclass
class Program(Server):
    """A command of `game-analytics`, with an environment and a log of its own."""

    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    log: Path
    """Emptied at the first start and appended to at later ones, since it holds the reason for the restart."""
    _has_run: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        super().__init__(f"`game-analytics {' '.join(self.arguments)}`", self.log)

    def _start(self) -> None:
        programs = Path(sys.executable).parent
        path = os.pathsep.join([str(programs), self.environment.get("PATH", os.defpath)])
        with closing(locked_log(self.log, self.name, "End it first.", keep=self._has_run)) as output:
            command = [str(programs / "game-analytics"), *self.arguments]
            self._child = start_child(command, self.folder, {**self.environment, "PATH": path}, output)
            self._has_run = True

    def how_it_ended(self) -> str:
        """With the last line of its log, if it failed."""
        ended = super().how_it_ended()
        last = next((line.strip() for line in reversed(self._log_lines()) if line.strip()), "")
        failed = ended.startswith("exit code") and ended != ENDED_WELL
        return f"{ended} ({self.log}: {last})" if failed and last else ended


def run_stack(settings: StackSettings) -> None:
    """Run the stack until SIGINT, SIGTERM or SIGHUP.

    Must be called from the main thread, since only that one can set signal handlers. Raises `GameAnalyticsError` if two
    ports are equal, another stack is running on the folder, or Java, Maven, PostgreSQL or SeaweedFS is missing.
    """
    ports = settings.ports
    if len(set(ports)) < len(ports):
        raise GameAnalyticsError(f"Each part needs a port of its own, but some of these are equal: {ports}.")
    with stop_signals() as stop, only_one("stack", settings):
        parts = _parts(settings)
        _prepare_dagster_home(settings)
        write_shell_file(settings.shell_file, settings.variables())
        say("Starting PostgreSQL, Kafka and S3, then Dagster; that takes some twenty seconds ...")
        addresses = {
            "Dagster UI": settings.ui_url,
            "Kafka": f"{LOOPBACK}:{settings.kafka_port}, topic {TOPIC}",
            "S3": f"http://{LOOPBACK}:{settings.s3_port}, bucket {settings.bucket}",
            "PostgreSQL": f"{LOOPBACK}:{settings.postgres_port}, Dagster's history",
            "Logs": shown(settings.logs),
            "Another shell": settings.join_command,
        }
        run_parts(parts, stop, settings.ui_port, addresses, "the servers")
        say("Stopped; nothing is left running.")


def _parts(settings: StackSettings) -> list[Part]:
    weed = find_weed()
    if weed is None:
        raise GameAnalyticsError(f"The stack needs an S3 server, and {WHEEL} does not exist for this system.")
    folder, ports = settings.directory.resolve(), settings.ports
    postgres = Postgres(
        find_postgres(), folder / "postgres", settings.postgres_port, _POSTGRES, _POSTGRES_PASSWORD, _POSTGRES
    )
    kafka = Broker(find_kafka(), folder / "kafka", settings.kafka_port)
    s3 = SeaweedFS(folder / "s3", settings.s3_port, weed, ports)
    # Settings of another lake or log in the user's shell must not reach the stack.
    environment = with_stack(without_settings(os.environ), settings.variables())

    def program(name: str, *arguments: str) -> Program:
        return Program(arguments, settings.dagster_home, environment, settings.logs / f"{name}.log")

    prepare = Part("`prepare`", program("prepare", *PREPARE), once=True)
    code, webserver, daemon = (program(name, *arguments) for name, arguments in SERVICES.items())
    postgres_port = Port(settings.postgres_port, "PostgreSQL", "--postgres-port")
    kafka_port = Port(settings.kafka_port, "Kafka", "--kafka-port")
    s3_port = Port(settings.s3_port, "the S3 server", "--s3-port")
    code_port = Port(settings.code_port, "the code location", "--code-port")
    parts = [
        Part("PostgreSQL", postgres, postgres_port, serves_others=True),
        Part("Kafka", kafka, kafka_port, serves_others=True),
        Part("The S3 server", s3, s3_port, serves_others=True),
        prepare,
        Part("The code location", code, code_port, after=prepare),
        Part("The webserver", webserver, Port(settings.ui_port, "the Dagster UI", "--port")),
        Part("The daemon", daemon),
    ]
    if settings.with_demo:
        arguments = producer(f"{LOOPBACK}:{settings.kafka_port}")
        parts.append(Part("The producer", program("producer", *arguments), after=prepare))
    return parts


def _prepare_dagster_home(settings: StackSettings) -> None:
    settings.logs.mkdir(parents=True, exist_ok=True)
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    for name in ("dagster.yaml", "workspace.yaml"):
        try:
            shutil.copy(settings.deployment / name, settings.dagster_home / name)
        except OSError as error:
            raise GameAnalyticsError(
                f"{settings.deployment / name} can't be read ({error.strerror}). Run this in the project's own folder."
            ) from error
