"""`game-analytics stack`: what `docker compose up` runs, as processes of this machine: Kafka, S3, PostgreSQL, and the
code location, the webserver and the daemon by the entry points and with the `dagster.yaml` of the containers.

Whatever ends by itself is started again, as a container would be; what can't start is said in a line and tried again.
"""

import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.local_stack.environment import with_stack, without_settings, write_shell_file
from game_analytics.local_stack.kafka_broker import Broker, find_kafka
from game_analytics.local_stack.parts import ENDED_WELL, Guarded, Program, S3Server, Server
from game_analytics.local_stack.ports import LOOPBACK
from game_analytics.local_stack.postgres import Postgres, find_postgres
from game_analytics.local_stack.running import answers, only_one, say, shown
from game_analytics.local_stack.seaweedfs import ACCESS_KEY_ID, SECRET_ACCESS_KEY, WHEEL, find_weed
from game_analytics.local_stack.stop_signal import StopSignal, stop_signals

TOPIC = "game-events"
SERVICES: Mapping[str, Sequence[str]] = {name: ("serve", name) for name in ("code", "webserver", "daemon")}
"""The deployment's three entry points, as words of the command `game-analytics`."""

PREPARE = ("prepare", "--wait-seconds", "120")

_POSTGRES = "dagster"
_POSTGRES_PASSWORD = "local-only"  # noqa: S105 (guards nothing but this machine's own playground)
_LOOK_EVERY_SECONDS = 0.1
_START_AGAIN_AFTER_SECONDS = 2.0


@dataclass(frozen=True)
class StackSettings:
    """Where the stack keeps what it makes, where its deployment is described, and where its parts listen."""

    directory: Path
    deployment: Path
    """The folder that has the containers' `dagster.yaml` and `workspace.yaml`."""
    bucket: str
    ui_port: int = 3000
    s3_port: int = 8333
    kafka_port: int = 9092
    postgres_port: int = 15432
    """Not 5432, where the system's own server listens where its package has started one."""
    code_port: int = 4000
    with_demo: bool = False
    """Publish simulated matches: those of the last seven days, and then more as they happen."""

    @property
    def ui_url(self) -> str:
        """The address to open in a browser."""
        return f"http://{LOOPBACK}:{self.ui_port}"

    @property
    def dagster_home(self) -> Path:
        """What Dagster is configured by; its history is in PostgreSQL."""
        return self.directory.resolve() / "dagster"

    @property
    def logs(self) -> Path:
        """What the programs write, a file each; Kafka, S3 and PostgreSQL have theirs beside their data."""
        return self.directory.resolve() / "logs"

    @property
    def shell_file(self) -> Path:
        """What another shell sources to join."""
        return self.directory / "env"

    @property
    def ports(self) -> list[int]:
        return [self.ui_port, self.s3_port, self.kafka_port, self.postgres_port, self.code_port]

    def variables(self) -> dict[str, str]:
        """What the services find in their environment; the names are those of the containers."""
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
            "GAME_ANALYTICS_ALERT_WEBHOOK": "",  # nobody is told of what fails in a try-out
        }


def producer(bootstrap_servers: str) -> Sequence[str]:
    """The words that publish simulated matches as they happen."""
    return ("produce", "--bootstrap-servers", bootstrap_servers, "--topic", TOPIC, "--follow")


@dataclass
class Watched:
    """A part of the stack, and what was last said of it."""

    name: str
    server: Server
    once: bool = False
    """It does its work and ends."""
    after: "Watched | None" = None
    """It is not started before that one is ready."""
    is_up: bool = field(default=False, init=False)
    is_done: bool = field(default=False, init=False)
    _complaint: str | None = field(default=None, init=False)
    _start_at: float = field(default=0, init=False)

    @property
    def is_ready(self) -> bool:
        """Whether it runs, or has done what it is there for."""
        return self.is_done if self.once else self.is_up

    def look_after(self, now: float, tell: Callable[[str], None]) -> None:
        """Start it unless it runs, and again if it has ended. What is told is one line, and each once."""
        if self.is_up and self.server.has_ended():
            how = self.server.how_it_ended()
            self.server.stop()
            self.is_up, self._start_at = False, now + _START_AGAIN_AFTER_SECONDS
            self.is_done = self.once and how == ENDED_WELL
            if not self.is_done:
                tell(f"{self.name} ended by itself with {how}. It is started again.")
        waits = self.after is not None and not self.after.is_ready
        if not (self.is_up or self.is_done or waits) and now >= self._start_at:
            self._start(now, tell)

    def _start(self, now: float, tell: Callable[[str], None]) -> None:
        try:
            self.server.start()
        except GameAnalyticsError as error:
            complaint, *more = str(error).splitlines()
            if complaint != self._complaint:
                # Of a log that is quoted the last line says it.
                tell(f"{self.name} can't start, and is tried again: {' … '.join([complaint, *more[-1:]])}")
            self._complaint, self._start_at = complaint, now + _START_AGAIN_AFTER_SECONDS
        else:
            self.is_up = True
            if self._complaint is not None:
                tell(f"{self.name} has started.")
            self._complaint = None


def run_stack(settings: StackSettings) -> None:
    """Run the stack until SIGINT, SIGTERM or SIGHUP. Raises `GameAnalyticsError` if this machine lacks a program.

    Must be called from the main thread, since only that one may listen to signals.
    """
    ports = settings.ports
    if len(set(ports)) < len(ports):
        raise GameAnalyticsError(f"Each part needs a port of its own, and these are not: {ports}.")
    with stop_signals() as stop, only_one("stack", settings.directory):
        parts = _parts(settings)
        _prepare_dagster_home(settings)
        write_shell_file(settings.shell_file, settings.variables())
        say("Starting PostgreSQL, Kafka and S3, then Dagster; that takes some twenty seconds ...")
        with _ended(parts):
            _watch(settings, parts, stop)
            say("Stopping: Dagster and its runs first, then the servers ...")
        say("Stopped; nothing is left running.")


def _parts(settings: StackSettings) -> list[Watched]:
    weed = find_weed()
    if weed is None:
        raise GameAnalyticsError(f"The stack needs an S3 server, and {WHEEL} does not exist for this system.")
    folder, ports = settings.directory.resolve(), settings.ports
    postgres = Postgres(
        find_postgres(), folder / "postgres", settings.postgres_port, _POSTGRES, _POSTGRES_PASSWORD, _POSTGRES
    )
    kafka = Broker(find_kafka(), folder / "kafka", settings.kafka_port)
    s3 = S3Server(folder / "s3", settings.s3_port, weed, ports)
    # Of the shell that starts it, what leads to another lake or log must not reach the stack.
    environment = with_stack(without_settings(os.environ), settings.variables())

    def program(name: str, *words: str) -> Program:
        return Program(words, settings.dagster_home, environment, settings.logs / f"{name}.log")

    prepare = Watched("`prepare`", program("prepare", *PREPARE), once=True)
    code, webserver, daemon = (program(name, *words) for name, words in SERVICES.items())
    parts = [
        Watched("PostgreSQL", Guarded(postgres, settings.postgres_port, "PostgreSQL", "--postgres-port")),
        Watched("Kafka", Guarded(kafka, settings.kafka_port, "Kafka", "--kafka-port")),
        Watched("The S3 server", Guarded(s3, settings.s3_port, "the S3 server", "--s3-port")),
        prepare,
        Watched(
            "The code location", Guarded(code, settings.code_port, "the code location", "--code-port"), after=prepare
        ),
        Watched("The webserver", Guarded(webserver, settings.ui_port, "the Dagster UI", "--port")),
        Watched("The daemon", daemon),
    ]
    if settings.with_demo:
        words = producer(f"{LOOPBACK}:{settings.kafka_port}")
        parts.append(Watched("The producer", program("producer", *words), after=prepare))
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


def _watch(settings: StackSettings, parts: Sequence[Watched], stop: StopSignal) -> None:
    announced = False
    while not stop.asked:
        for part in parts:
            if not stop.asked:
                part.look_after(time.monotonic(), say)
        if not announced and all(part.is_ready for part in parts) and answers(settings.ui_port):
            announced = True
            _announce(settings)
        time.sleep(_LOOK_EVERY_SECONDS)


def _announce(settings: StackSettings) -> None:
    say("")
    say(f"  Dagster UI      {settings.ui_url}")
    say(f"  Kafka           {LOOPBACK}:{settings.kafka_port}, topic {TOPIC}")
    say(f"  S3              http://{LOOPBACK}:{settings.s3_port}, bucket {settings.bucket}")
    say(f"  PostgreSQL      {LOOPBACK}:{settings.postgres_port}, Dagster's history")
    say(f"  Logs            {shown(settings.logs)}")
    say(f"  Another shell   source {shlex.quote(shown(settings.shell_file))}")
    say("  To stop         Ctrl-C")
    say("")


@contextmanager
def _ended(parts: Sequence[Watched]) -> Iterator[None]:
    """When the block ends, so have all parts: first the programs, all at once, then the servers that they use."""
    try:
        yield
    finally:
        programs = [part for part in parts if not isinstance(_innermost(part.server), Postgres | Broker | S3Server)]
        for group in (programs, [part for part in parts if part not in programs]):
            with ThreadPoolExecutor(len(parts)) as threads:
                list(threads.map(lambda part: part.server.stop(), group))


def _innermost(server: Server) -> Server:
    return server.server if isinstance(server, Guarded) else server
