"""Errors that a user can act upon. Each names the culprit, what was expected and the next step.

Nothing here knows Dagster: the assets turn these into a failed step, the command line into one line of text.
"""


class GameAnalyticsError(Exception):
    """A fault whose message says what to do now; running again without doing it ends the same way."""


class Unavailable(GameAnalyticsError):
    """A service did not answer. The same may succeed later, so a run that is under way tries again by itself."""
