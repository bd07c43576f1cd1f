"""The base errors of the package. Messages name the culprit, what was expected and the next step.

All error classes; those besides the first two are defined in the modules that raise them:

    GameAnalyticsError          the user has to act; the message says how
        Unavailable             a service does not answer; the same may succeed later
            Damaged             bytes of an object have another checksum than S3 gave with them
        Truncated               landing a day would lose messages that the log no longer holds
        OffsetGone              the log dropped an offset while it was read
        Unbalanced              a landing's account does not balance; nothing was committed
        Unreadable              an object in the lake is not Parquet, or damaged
        Contested               other writers replaced the same object again and again
        Miscounted              stats don't add up to the landed events; nothing was written
        BadStats                a stats file can't be ranked
        InvalidBoard            a computed board violates its rule; nothing was written
        WorkerDied              a worker process ended in the middle of an item
    InputChanged                internal: an input was replaced while it was read, so the work starts over
    DeliveryFailed              internal: Kafka did not accept a message of the simulation
    OwnerGone                   internal: a worker's owner closed the pipe
    Unsupported                 internal: messages of a registry's schema can't be events
    Malformed                   internal: a registry's text is no schema

Dagster is not imported: assets turn a `GameAnalyticsError` into a failed step, the command line prints its message.
"""


class GameAnalyticsError(Exception):
    """An error that the user can fix; the message says how. Repeating without that fails again.

    Control characters in the message, as from names in files, are escaped, so that they can't affect a terminal.
    """

    def __init__(self, message: str) -> None:
        super().__init__("\n".join(printable(line) for line in message.split("\n")))


class Unavailable(GameAnalyticsError):
    """A service did not answer. The same may succeed later, so a run retries by itself, unless ``waited`` says that it
    has already waited as long as it may."""

    def __init__(self, message: str, *, waited: bool = False) -> None:
        super().__init__(message)
        self.waited = waited


def printable(text: str) -> str:
    """The text with control characters as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
