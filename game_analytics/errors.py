"""Errors that a user can act upon. Each names the culprit, what was expected and the next step.

Nothing here knows Dagster: the assets turn these into a failed step, the command line into one line of text.
"""


class GameAnalyticsError(Exception):
    """A fault whose message says what to do now; running again without doing it ends the same way.

    Names that files and messages bring along stand in it as text: they can't colour a terminal.
    """

    def __init__(self, message: str) -> None:
        super().__init__("\n".join(printable(line) for line in message.split("\n")))


class Unavailable(GameAnalyticsError):
    """A service did not answer. The same may succeed later, so a run that is under way tries again by itself, unless
    it has ``waited`` already, for as long as it is allowed to."""

    def __init__(self, message: str, *, waited: bool = False) -> None:
        super().__init__(message)
        self.waited = waited


def printable(text: str) -> str:
    """Text from outside with control characters as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
