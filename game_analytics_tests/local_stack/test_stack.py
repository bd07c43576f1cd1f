"""How the parts of a stack are supervised: one that cannot start is reported once and retried, one that ends is
restarted, and one with a single task is done when that has succeeded."""

import socket
from pathlib import Path

import pytest

from game_analytics.cli.serve import SERVICES as SERVED
from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.ports import free_ports
from game_analytics.local_stack.processes import Server
from game_analytics.local_stack.stack import SERVICES, Program, StackSettings, run_stack
from game_analytics.local_stack.stop_signal import StopSignal
from game_analytics.local_stack.supervisor import Part, Port, run_parts


class Puppet(Server):
    """A server that fails to start with ``refuses`` and has ended with ``ends_with``, if these are set."""

    def __init__(self, refuses: str = "", did: list[str] | None = None, name: str = "server") -> None:
        super().__init__(name)
        self.ends_with, self.refuses = "", refuses
        self.did = [] if did is None else did

    def start(self) -> None:
        if self.refuses:
            raise GameAnalyticsError(self.refuses)
        self.did.append("start")

    def stop(self) -> None:
        self.did.append("stop" if self.name == "server" else f"stop {self.name}")

    def has_ended(self) -> bool:
        return bool(self.ends_with)

    def how_it_ended(self) -> str:
        return self.ends_with


def test_a_part_that_ends_is_restarted_after_two_seconds_and_reported() -> None:
    server, reported = Puppet(), list[str]()
    part = Part("The daemon", server)
    part.look_after(10.0, reported.append)
    part.look_after(11.0, reported.append)
    assert (server.did, reported, part.is_ready) == (["start"], [], True)

    server.ends_with = "signal SIGKILL"
    part.look_after(20.0, reported.append)
    assert (server.did, part.is_ready) == (["start", "stop"], False)
    server.ends_with = ""
    part.look_after(21.9, reported.append)
    assert server.did == ["start", "stop"]
    part.look_after(22.0, reported.append)
    assert (server.did, part.is_ready) == (["start", "stop", "start"], True)
    assert reported == ["The daemon ended by itself with signal SIGKILL. It is started again."]


def test_a_part_with_a_single_task_is_done_if_it_succeeds_and_restarted_if_it_fails() -> None:
    server, reported = Puppet(), list[str]()
    part = Part("`prepare`", server, once=True)
    part.look_after(0.0, reported.append)
    is_ready = [part.is_ready]
    server.ends_with = "exit code 1"
    part.look_after(1.0, reported.append)
    server.ends_with = ""
    part.look_after(3.0, reported.append)
    server.ends_with = "exit code 0"
    part.look_after(4.0, reported.append)
    part.look_after(60.0, reported.append)
    assert [*is_ready, part.is_ready] == [False, True]
    assert server.did == ["start", "stop", "start", "stop"]
    assert reported == ["`prepare` ended by itself with exit code 1. It is started again."]


def test_a_part_that_needs_another_one_starts_when_that_is_ready() -> None:
    work, server, reported = Puppet(), Puppet(), list[str]()
    prepare = Part("`prepare`", work, once=True)
    producer = Part("The producer", server, after=prepare)
    for second in (0.0, 1.0):
        prepare.look_after(second, reported.append)
        producer.look_after(second, reported.append)
    assert (work.did, server.did) == (["start"], [])
    work.ends_with = "exit code 0"
    prepare.look_after(2.0, reported.append)
    producer.look_after(2.0, reported.append)
    assert server.did == ["start"]
    assert reported == []


def test_the_end_of_a_part_that_must_not_be_restarted_is_reported_and_stops_the_programs_before_the_servers() -> None:
    did = list[str]()
    s3, dagster = Puppet(did=did, name="S3"), Puppet(did=did, name="Dagster")
    dagster.ends_with = "exit code 1"
    parts = [Part("The S3 server", s3, restart=False, serves_others=True), Part("Dagster", dagster, restart=False)]
    report = run_parts(parts, StopSignal(), 1, {}, "the S3 server")
    assert report == "Dagster ended by itself with exit code 1. Its own messages above say why."
    assert did == ["start", "stop Dagster", "stop S3"]


def test_a_port_in_use_is_reported_once_with_its_process_until_it_is_free() -> None:
    server, reported = Puppet(), list[str]()
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        part = Part("The webserver", server, Port(port, "the Dagster UI", "--port"))
        part.look_after(0.0, reported.append)
        part.look_after(2.0, reported.append)
        assert server.did == []
    part.look_after(4.0, reported.append)
    assert server.did == ["start"]
    assert len(reported) == 2
    assert reported[0].startswith(
        f"The webserver can't start, and is tried again: Port {port} on 127.0.0.1 is taken by process"
    )
    assert reported[0].endswith("Stop what listens there, or choose another port: --port PORT")
    assert reported[1] == "The webserver has started."


def test_the_first_and_last_line_of_a_failure_are_reported_once_and_again_if_they_change() -> None:
    server, reported = Puppet(refuses="No memory. Its log says:\nstarting\nno room"), list[str]()
    part = Part("Kafka", server)
    for second in range(0, 10, 2):
        part.look_after(second, reported.append)
    server.refuses = "No disk."
    part.look_after(10.0, reported.append)
    assert reported == [
        "Kafka can't start, and is tried again: No memory. Its log says: … no room",
        "Kafka can't start, and is tried again: No disk.",
    ]


def test_the_reason_for_a_program_s_end_is_the_last_line_of_its_log(tmp_path: Path) -> None:
    program = Program(["serve", "nothing"], tmp_path, {}, tmp_path / "log")
    program.start()
    ended = program.how_it_ended()
    program.stop()
    assert ended.startswith(f"exit code 2 ({tmp_path / 'log'}: Error: Invalid value for ")
    assert "'nothing'" in ended


def test_two_parts_on_one_port_are_refused(tmp_path: Path) -> None:
    settings = StackSettings(tmp_path, tmp_path, "bucket", ui_port=3000, s3_port=3000)
    with pytest.raises(GameAnalyticsError, match="Each part needs a port of its own"):
        run_stack(settings)


def test_the_services_are_those_that_can_be_served() -> None:
    assert {name: ("serve", name) for name in SERVED} == SERVICES


def test_the_variables_name_the_ports_of_the_settings(tmp_path: Path) -> None:
    ui, s3, kafka, postgres, code = free_ports(5)
    given = StackSettings(tmp_path, tmp_path, "b", ui, s3, kafka, postgres, code).variables()
    assert given["DAGSTER_GRPC_PORT"] == given["CODE_LOCATION_PORT"] == str(code)
    assert given["DAGSTER_WEBSERVER_PORT"] == str(ui)
    assert given["GAME_ANALYTICS_UI_URL"] == f"http://127.0.0.1:{ui}"
    assert given["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{s3}"
    assert given["KAFKA_BOOTSTRAP_SERVERS"] == f"127.0.0.1:{kafka}"
    assert given["POSTGRES_PORT"] == str(postgres)
