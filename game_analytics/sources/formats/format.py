"""The interface of formats: what the bytes of a message say. Another format is one more file in this folder."""

from abc import ABC, abstractmethod

import polars as pl


class Format(ABC):
    """Decodes messages. It can be pickled, since slices land in other processes too."""

    @abstractmethod
    def decode(self, messages: pl.DataFrame) -> pl.DataFrame:
        """The fields of each message as `rules.events.FIELDS`, in the order of the messages (`event_log.MESSAGES`)."""
