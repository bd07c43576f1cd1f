"""The schemas of a day, kept in the lake beside its events."""

from datetime import date

from game_analytics.lake.bucket import Lake
from game_analytics.lake.names import schema_key
from game_analytics.sources.formats.format import KeptSchemas


class LakeSchemas(KeptSchemas):
    """They stay for good: the registry may forget a schema, and the day may be read again."""

    def __init__(self, lake: Lake, day: date) -> None:
        self._lake = lake
        self._day = day

    def get(self, name: str) -> bytes | None:
        """Raises what the lake raises."""
        stored = self._lake.get(schema_key(self._day, name))
        return None if stored is None else stored.body

    def place(self, name: str) -> str:
        """Its URI."""
        return self._lake.uri(schema_key(self._day, name))

    def keep(self, name: str, schema: bytes) -> None:
        """Raises what the lake raises."""
        self._lake.put(schema_key(self._day, name), schema)
