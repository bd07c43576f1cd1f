"""PostgreSQL from the system's packages, as a child process on the loopback interface."""

import os
import pwd
import shutil
import subprocess
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.ports import LOOPBACK
from game_analytics.local_stack.processes import Server, locked_log, start_child

_DEBIAN = Path("/usr/lib/postgresql")
_SYSTEM_USER = "postgres"  # created by its package; PostgreSQL refuses to run as root

_PREPARED_WITHIN_SECONDS = 60.0
_READY_WITHIN_SECONDS = 30.0


def find_postgres() -> Path:
    """The folder of the newest PostgreSQL's programs. Raises `GameAnalyticsError` if none is installed."""
    versions = sorted(_DEBIAN.glob("*/bin/postgres"), key=lambda program: float(program.parts[-3]))
    on_the_path = shutil.which("postgres")
    found = versions[-1] if versions else on_the_path
    if found is None:
        raise GameAnalyticsError(
            "The stack needs PostgreSQL, and it is not installed. Install it (on Debian: apt-get install postgresql)."
        )
    return Path(found).parent


@dataclass
class Postgres(Server):
    """A server with one user, who owns everything; connections from this machine need the password too.

    Its `start` also creates the database if it is missing.
    """

    programs: Path
    folder: Path
    port: int
    user: str
    password: str = field(repr=False)
    database: str

    def __post_init__(self) -> None:
        super().__init__("PostgreSQL", self.folder / "server.log")

    @property
    def url(self) -> str:
        """The address of the database, without the password."""
        return f"postgresql://{self.user}@{LOOPBACK}:{self.port}/{self.database}"

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._ensure_its_user_can_write()
        with closing(locked_log(self.folder / "server.log", "PostgreSQL", "End it, and start again.")) as output:
            self._prepare()
            settings = {
                "port": self.port,
                "listen_addresses": LOOPBACK,
                "unix_socket_directories": "",
                # Enough for Dagster.
                "max_connections": 60,
            }
            options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
            command = [*_as_its_user(), self.programs / "postgres", "-D", self._data, *options]
            self._child = start_child(command, self.folder, _ENVIRONMENT, output)
        self._wait_for_answer(self.url, self._refusal, _READY_WITHIN_SECONDS)
        self._create_database()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _ensure_its_user_can_write(self) -> None:
        if os.geteuid() == 0:
            self._own(self.folder)
            may_enter = [*_as_its_user(), "/usr/bin/test", "-w", str(self.folder)]
            if subprocess.run(may_enter, check=False, stderr=subprocess.DEVNULL).returncode != 0:  # noqa: S603 (no shell)
                raise GameAnalyticsError(
                    f"PostgreSQL does not run as root, and its own user {_SYSTEM_USER} may not get to {self.folder}. "
                    "Start the stack as another user than root, or in a folder that all users may enter."
                )

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            account = pwd.getpwnam(_SYSTEM_USER)
            os.chown(path, account.pw_uid, account.pw_gid)

    def _prepare(self) -> None:
        """Create the data folder; it is renamed when complete, so an interrupted start leaves no half of it."""
        if self._data.exists():
            return
        incomplete = self.folder / "data.new"
        shutil.rmtree(incomplete, ignore_errors=True)
        options = ["--username", self.user, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"]
        password = self.folder / "password"
        password.touch(mode=0o600)
        self._own(password)
        try:
            password.write_text(f"{self.password}\n")
            done = subprocess.run(  # noqa: S603 (no shell)
                [*_as_its_user(), self.programs / "initdb", "-D", incomplete, *options, "--pwfile", password],
                cwd=self.folder,
                env=_ENVIRONMENT,
                capture_output=True,
                text=True,
                timeout=_PREPARED_WITHIN_SECONDS,
                check=False,
            )
        finally:
            password.unlink()
        if done.returncode != 0:
            raise GameAnalyticsError(f"PostgreSQL could not prepare {self._data}:\n{done.stderr.strip()}")
        incomplete.rename(self._data)

    def _refusal(self) -> str | None:
        ask: list[str | Path] = [self.programs / "pg_isready", "--quiet", "--host", LOOPBACK, "--port", str(self.port)]
        code = subprocess.run(ask, env=_ENVIRONMENT, check=False).returncode  # noqa: S603 (no shell)
        return None if code == 0 else f"pg_isready: exit code {code}"

    def _create_database(self) -> None:
        ask = f"SELECT 1 FROM pg_database WHERE datname = '{self.database}'"  # noqa: S608 (our own name)
        if not self._sql(ask):
            self._sql(f'CREATE DATABASE "{self.database}"')

    def _sql(self, statement: str) -> str:
        where = ["--host", LOOPBACK, "--port", str(self.port), "--username", self.user, "--dbname", "postgres"]
        done = subprocess.run(  # noqa: S603 (no shell)
            [self.programs / "psql", *where, "--no-psqlrc", "--tuples-only", "--no-align", "--command", statement],
            env={**_ENVIRONMENT, "PGPASSWORD": self.password},
            capture_output=True,
            text=True,
            timeout=_READY_WITHIN_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise GameAnalyticsError(
                f"PostgreSQL at {self.url} refuses: {done.stderr.strip()}. Its files in {self._data} may be of another "
                "user or password; remove them to start again without history."
            )
        return done.stdout.strip()


_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}
"""Not the user's, whose settings for PostgreSQL are meant for other servers."""


def _as_its_user() -> list[str | Path]:
    if os.geteuid() != 0:
        return []
    return ["/usr/bin/setpriv", f"--reuid={_SYSTEM_USER}", f"--regid={_SYSTEM_USER}", "--init-groups", "--"]
