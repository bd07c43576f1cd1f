"""Checks that the PostgreSQL database of Dagster's history accepts connections."""

from contextlib import closing
from dataclasses import dataclass, field

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.settings import Settings

_CONNECT_SECONDS = 5

# Messages of a server that refuses connections for a while. All others are permanent.
_TEMPORARY = ("starting up", "shutting down", "recovery mode", "too many", "remaining connection slots")


@dataclass(frozen=True)
class Database:
    """A database and its user."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> "Database | None":
        """The database of the settings, with the defaults of PostgreSQL's Docker image; None if they name no host."""
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
        """Open a connection and close it. Raises `Unavailable` if the server does not answer or is not ready, and
        `GameAnalyticsError` if it refuses."""
        try:
            import psycopg2  # noqa: PLC0415 - only the deployment has it
        except ImportError as missing:
            raise GameAnalyticsError(
                "POSTGRES_HOST is set, but the PostgreSQL driver is not installed: pip install "
                "'game-analytics[production]'. Or unset it."
            ) from missing
        try:
            connection = psycopg2.connect(
                host=self.host,
                port=self.port,
                dbname=self.name,
                user=self.user,
                password=self.password,
                connect_timeout=_CONNECT_SECONDS,
            )
        except psycopg2.OperationalError as failure:
            raise self._error_for(str(failure)) from failure
        with closing(connection):
            return

    def _error_for(self, message: str) -> GameAnalyticsError:
        where, why = f"PostgreSQL at {self.host}:{self.port}", " ".join(message.split())
        # Without a password libpq fails by itself, before the server sends its FATAL message.
        refused = "FATAL: " in why or "no password supplied" in why
        if not refused or any(reason in why for reason in _TEMPORARY):
            return Unavailable(f"{where} does not answer ({why}). Start it, or check POSTGRES_HOST and POSTGRES_PORT.")
        why = why.rpartition("FATAL: ")[2]
        return GameAnalyticsError(
            f"{where} refuses: {why}. Check POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB; a data folder keeps "
            "those that it was first started with."
        )
