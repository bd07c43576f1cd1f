"""Files of properties, which hold what a client needs beside its address: passwords, TLS, sizes. They are never
shown."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from game_analytics.errors import GameAnalyticsError

_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class PropertiesFile:
    """A kind of file of ``name=value`` lines."""

    what: str
    """What its properties are of, for error messages."""
    named_by: str
    """The variables or options that name it."""
    is_not_for_a_file: Callable[[str], bool]
    """Whether a property is not for a file to set."""

    def read(self, path: Path) -> dict[str, str]:
        """The properties in a file. Empty lines and lines starting with ``#`` are skipped; a name without a value keeps
        the default.

        Raises `GameAnalyticsError` with the file and the line number, never with the line itself: it may hold a secret.
        """
        properties: dict[str, str] = {}
        for number, line in enumerate(map(str.strip, self._lines(path)), 1):
            if not line or line.startswith("#"):
                continue
            name, equals, value = line.partition("=")
            name = name.strip()
            if not equals or not _NAME.fullmatch(name):
                raise GameAnalyticsError(f"{path}, line {number}: `name=value` was expected. Fix the line.")
            if name in properties:
                raise GameAnalyticsError(f"{path}, line {number}: {name} is set twice. Remove one of the two.")
            if self.is_not_for_a_file(name):
                raise GameAnalyticsError(f"{path}, line {number}: {name} is not for this file to set. Remove the line.")
            properties[name] = value.strip()
        return {name: value for name, value in properties.items() if value}

    def _lines(self, path: Path) -> list[str]:
        try:
            return path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
            raise GameAnalyticsError(
                f"The file of {self.what}, {path}, can't be read: {reason}. Name a file of `name=value` lines "
                f"({self.named_by}), or none."
            ) from None
