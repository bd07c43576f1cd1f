"""The interface of formats: from the bytes of messages to fields. Another format is another file in this folder."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import AbstractContextManager

from game_analytics.rules.events import Decode


class KeptSchemas(ABC):
    """Schemas that are kept beside a day's events, so that the day can be read again without a registry."""

    @abstractmethod
    def get(self, name: str) -> bytes | None:
        """What is kept under the name; None if nothing is."""

    @abstractmethod
    def place(self, name: str) -> str:
        """Where it is kept, for people."""

    @abstractmethod
    def keep(self, name: str, schema: bytes) -> None:
        """Keep a schema under its name."""


class Format(ABC):
    """How messages are decoded. A format is pickled to the workers that land slices; each of them opens it."""

    on_request: Collection[str] = ()
    """Columns of `event_log.ON_REQUEST` that it needs. They are kept in quarantine beside the value; messages that an
    earlier version quarantined lack them."""

    @abstractmethod
    def opened(self, kept: KeptSchemas) -> AbstractContextManager[Decode]:
        """A function from messages (`event_log.MESSAGES`) to `rules.events.FIELDS`, row by row, for the messages of one
        day, whose schemas are kept in ``kept``. Connections are closed with the block."""
