"""The image: exactly known, small to change, without secrets, and run by nobody in particular."""

import re
import subprocess
import sys
import tomllib

from game_analytics_tests.support.deployment import DOCKERFILE, ROOT, environment_of, instructions, services


def words_of(name: str) -> list[str]:
    return [found.words for found in instructions() if found.name == name]


def place_of(name: str, words: str) -> int:
    """Where the one instruction stands that begins so."""
    [place] = [
        place for place, found in enumerate(instructions()) if found.name == name and found.words.startswith(words)
    ]
    return place


def test_it_starts_from_an_exact_version_of_a_python_that_the_project_runs_on() -> None:
    [base] = words_of("FROM")
    version = re.fullmatch(r"python:3\.(\d+)\.\d+-slim-bookworm", base)
    assert version is not None
    assert int(version[1]) >= 11


def test_it_runs_as_a_user_by_number_who_is_not_root_and_owns_no_code() -> None:
    [user] = words_of("USER")
    assert user == "10001:10001"
    assert place_of("USER", user) > max(place for place, found in enumerate(instructions()) if found.name == "COPY")
    assert "--chown" not in DOCKERFILE.read_text()
    assert any("useradd --uid 10001" in words for words in words_of("RUN"))


def test_nothing_is_fetched_but_pinned_packages() -> None:
    assert words_of("ADD") == []
    for words in words_of("RUN"):
        assert not re.search(r"\b(curl|wget|git|apt-get|apt)\b|https?:", words)
        assert words.count("pip install") == words.count("pip install --constraint constraints.txt")


def test_no_secret_is_built_in_and_none_can_be_given_while_it_is_built() -> None:
    assert words_of("ARG") == []
    for words in words_of("ENV"):
        assert not re.search("PASS|SECRET|TOKEN|KEY|CREDENTIAL", words, re.IGNORECASE)


def test_the_project_is_built_with_what_is_pinned_as_well() -> None:
    """By itself pip builds in an environment of its own, which knows no constraints."""
    [build] = [words for words in words_of("RUN") if words.endswith(" .")]
    assert "--no-build-isolation --no-deps" in build


def test_a_change_of_the_code_reinstalls_nothing_else() -> None:
    packages, code = place_of("RUN", "python -c"), place_of("COPY", "game_analytics")
    assert packages < code
    copied_before = [found.words for found in instructions()[:packages] if found.name == "COPY"]
    assert copied_before == ["pyproject.toml constraints.txt ./"]


def test_the_layer_of_packages_holds_all_that_the_project_needs_in_production() -> None:
    [layer] = [words for words in words_of("RUN") if words.startswith("python -c")]
    listing, written_to, _ = layer.partition(" > needs.txt")
    assert written_to
    listing = listing.replace("python", sys.executable, 1)
    listed = subprocess.run(["/bin/sh", "-c", listing], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, builds = found["project"], found["build-system"]["requires"]
    extras = project["optional-dependencies"]
    needed = project["dependencies"] + extras["msk"] + extras["production"] + extras["registry"]
    assert listed.stdout.splitlines() == needed + builds
    assert any(line.startswith("dagster-postgres") for line in listed.stdout.splitlines())


def test_nothing_reaches_the_builder_but_what_is_copied() -> None:
    first, *rest = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    let_through = {line.removeprefix("!") for line in rest if line.startswith("!")}
    copied = {source for words in words_of("COPY") for source in words.split()[:-1]}
    assert first == "*"
    assert let_through == copied
    assert all((ROOT / source).exists() for source in copied)


def test_dagster_finds_its_settings_where_it_runs() -> None:
    assert any("DAGSTER_HOME=/opt/dagster/home" in words for words in words_of("ENV"))
    assert words_of("WORKDIR")[-1] == "$DAGSTER_HOME"
    assert place_of("COPY", "deploy/dagster.yaml deploy/workspace.yaml ./") > place_of("WORKDIR", "$DAGSTER_HOME")
    assert "DAGSTER_HOME" not in environment_of("code")
    assert not [name for name in ("code", "webserver", "daemon") if "working_dir" in services()[name]]


def test_left_to_itself_it_is_the_code_location_and_checks_its_health() -> None:
    [command], [health] = words_of("CMD"), words_of("HEALTHCHECK")
    assert re.findall(r'"([^"]*)"', command) == services()["code"]["command"]
    assert health.endswith('CMD dagster api grpc-health-check --port "$DAGSTER_GRPC_PORT"')
    assert "DAGSTER_GRPC_PORT" in environment_of("code")
