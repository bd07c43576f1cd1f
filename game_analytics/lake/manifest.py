"""The manifest of a landed day: which offsets were read of each Kafka partition, what became of the messages, and the
check that the account balances."""

from collections.abc import Iterable
from datetime import date
from typing import Literal, Self

import msgspec

from game_analytics.errors import GameAnalyticsError, printable
from game_analytics.rules.days import Window
from game_analytics.rules.log_identity import LogIdentity

VERSION = 2
_READABLE = (1, 2)
"""Version 1 has neither ids of the log nor sizes of objects."""

ObjectKind = Literal["raw", "quarantine"]


class Unbalanced(GameAnalyticsError):
    """Messages were lost or counted twice between the log and the lake. Nothing was committed."""


class Account(msgspec.Struct, frozen=True):
    """The offsets ``first`` up to but without ``end`` of one partition, and the number of messages by class."""

    partition: int
    first: int
    end: int
    next_day_first: int
    """Offset at which the next day's window starts. If the log has dropped it by then, the next day is truncated."""
    read: int
    gaps: int
    """Offsets that hold no message: compaction, transaction markers."""
    landed: int
    ignored: int
    other_days: int
    quarantined: int


class LandedObject(msgspec.Struct, frozen=True):
    """A Parquet object that belongs to the day."""

    key: str
    kind: ObjectKind
    rows: int
    bytes: int | None = None
    """Its size; None where a manifest of version 1 lists it."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One per day. It commits the day: readers read the objects that it lists, and no others.

    Equal messages, settings and package versions give equal bytes: it holds no run id and no time of writing.
    """

    version: int
    day: date
    topic: str
    topic_id: str | None = None
    cluster_id: str | None = None
    window: Window
    window_closed: bool
    partitions: list[Account]
    objects: list[LandedObject]
    missed: dict[str, int]
    """Late events: events of other days that those days' landings had not read, counted by day (``2025-12-29``)."""

    def to_json(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self, order="deterministic"), indent=1) + b"\n"

    @classmethod
    def from_json(cls, content: bytes, key: str) -> Self:
        """Raises `GameAnalyticsError` if the content is no manifest of a known version."""
        try:
            version = msgspec.json.decode(content, type=_Versioned).version
            if version in _READABLE:
                return msgspec.json.decode(content, type=cls)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise GameAnalyticsError(
                f"{key} is no manifest ({printable(str(error))}). Remove it, then land the day again."
            ) from error
        raise GameAnalyticsError(f"{key} has version {version}, this package knows {VERSION}. Upgrade the package.")

    @property
    def log(self) -> LogIdentity:
        """The log that its offsets refer to."""
        return LogIdentity(self.topic, self.topic_id, self.cluster_id)

    def account(self, partition: int) -> Account | None:
        return next((account for account in self.partitions if account.partition == partition), None)

    @property
    def landed_nothing_of(self) -> str | None:
        """What became of the messages, if messages were read and none was landed: ``9 could not be read and 3 are of
        ignored types``; else None. Such a day is no empty day: its stats and board stay as they stood.

        The first hour of the next day is read with a day. So ignored messages count only if they are more than the good
        events of other days: an empty day before a busy one is an empty day.
        """
        total = self.total()
        if total["landed"] or not (total["quarantined"] or total["ignored"] > total["other_days"]):
            return None
        return f"{total['quarantined']:,} could not be read and {total['ignored']:,} are of ignored types"

    def keys(self, kind: ObjectKind) -> list[str]:
        return [landed.key for landed in self.objects if landed.kind == kind]

    def rows(self, kind: ObjectKind) -> int:
        return sum(landed.rows for landed in self.objects if landed.kind == kind)

    def total(self) -> dict[str, int]:
        """The day's account, summed over its partitions."""
        names = ("read", "gaps", "landed", "ignored", "other_days", "quarantined")
        return {name: sum(getattr(account, name) for account in self.partitions) for name in names}


class _Versioned(msgspec.Struct):
    """The field that manifests of all versions have."""

    version: int


def ensure_balanced(manifest: Manifest) -> None:
    """Raises `Unbalanced` that names each sum that does not balance, per partition and over all objects."""
    total = manifest.total()
    sums = [
        *(line for account in manifest.partitions for line in _sums(account)),
        ("rows of raw objects = landed", manifest.rows("raw"), total["landed"]),
        ("rows of quarantine objects = quarantined", manifest.rows("quarantine"), total["quarantined"]),
    ]
    wrong = [f"{what}: {left:,} is not {right:,}" for what, left, right in sums if left != right]
    if wrong:
        raise Unbalanced(
            f"The account of {manifest.day} does not balance: {'; '.join(wrong)}. Nothing was committed. Land "
            "the day again; if that fails too, report it as a bug."
        )


def _sums(account: Account) -> Iterable[tuple[str, int, int]]:
    partition = f"partition {account.partition}"
    yield f"{partition}: end - first = read + gaps", account.end - account.first, account.read + account.gaps
    classes = account.landed + account.ignored + account.other_days + account.quarantined
    yield f"{partition}: read = landed + ignored + other_days + quarantined", account.read, classes
