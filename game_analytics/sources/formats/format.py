"""The interface of formats: from the bytes of messages to fields. Another format is another file in this folder."""

from abc import ABC, abstractmethod
from collections.abc import Collection

import polars as pl


class Format(ABC):
    """Decodes messages. A format is pickled to the workers that land slices."""

    on_request: Collection[str] = ()
    """Columns of `event_log.ON_REQUEST` that it needs. They are kept in quarantine beside the value; messages that an
    earlier version quarantined lack them."""

    @abstractmethod
    def decode(self, messages: pl.DataFrame) -> pl.DataFrame:
        """The fields of messages (`event_log.MESSAGES`) as `rules.events.FIELDS`, row by row."""
