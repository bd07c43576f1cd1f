"""The PostgreSQL database in which Dagster keeps its history, and whether it lets us in."""

from contextlib import closing
from dataclasses import dataclass, field

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.settings import Settings

_ANSWERS_WITHIN_SECONDS = 5

# Waiting fixes nothing else that the server says before it closes the connection.
_PASSING = ("starting up", "shutting down", "recovery mode", "too many", "remaining connection slots")


@dataclass(frozen=True)
class Database:
    """Where it is and who uses it."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> "Database | None":
        """The one that the settings name, with the defaults of PostgreSQL's official image; None if they name none."""
        if settings.postgres_host is None:
            return None
        return cls(
            host=settings.postgres_host,
            port=settings.postgres_port,
            name=settings.postgres_db or settings.postgres_user,
            user=settings.postgres_user,
            password=settings.postgres_password.get_secret_value(),
        )

    def ensure_open(self) -> None:
        """Connect once, and leave again. Raises `Unavailable` if nobody answers or the server is not ready, and
        `GameAnalyticsError` if it refuses."""
        try:
            import psycopg2  # noqa: PLC0415 - only the deployment has it
        except ImportError as missing:
            raise GameAnalyticsError(
                "POSTGRES_HOST is set, and what PostgreSQL needs is not installed: pip install "
                "'game-analytics[production]'. Or unset it."
            ) from missing
        try:
            connection = psycopg2.connect(
                host=self.host,
                port=self.port,
                dbname=self.name,
                user=self.user,
                password=self.password,
                connect_timeout=_ANSWERS_WITHIN_SECONDS,
            )
        except psycopg2.OperationalError as failure:
            raise self._explained(str(failure)) from failure
        with closing(connection):
            return

    def _explained(self, said: str) -> GameAnalyticsError:
        where, why = f"PostgreSQL at {self.host}:{self.port}", " ".join(said.split())
        # Where no password is given, libpq does not get as far as the server's own word for it.
        refused = "FATAL: " in why or "no password supplied" in why
        if not refused or any(reason in why for reason in _PASSING):
            return Unavailable(f"{where} does not answer ({why}). Start it, or check POSTGRES_HOST and POSTGRES_PORT.")
        why = why.rpartition("FATAL: ")[2]
        return GameAnalyticsError(
            f"{where} refuses: {why}. Check POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB; a data folder keeps "
            "those that it was first started with."
        )
