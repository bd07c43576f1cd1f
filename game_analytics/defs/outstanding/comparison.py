"""Compares each product in the lake with its source: is it made from the current version of the source?

Dagster's records answer where they match the listing; for the rest, footers and hashes of the objects are read.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from game_analytics.defs.history import Provenance
from game_analytics.lake.bucket import Listed
from game_analytics.lake.claims import Claim
from game_analytics.lake.reader import HASHED_AT_MOST, Reader

NOT_HASHED = ""
"""Stands for the hash of a source that is too large to be hashed within a tick. It equals no hash, so the product
counts as stale: rebuilding it costs one run."""


class Status(Enum):
    """How a product relates to its source."""

    UP_TO_DATE = auto()
    """Made from the current source."""
    MISSING = auto()
    STALE = auto()
    """Made from another version of the source."""
    FOREIGN = auto()
    """Names no source: another program wrote it."""
    UNKNOWN = auto()
    """Not compared: there was no time, or it can't be read."""


@dataclass(frozen=True)
class Pair:
    """A day's source (for example the stats file) and its product (the board), None where that is missing."""

    source: Listed
    product: Listed | None


@dataclass(frozen=True)
class Compared:
    """The status of a product, and which source it claims to be made from, if that was looked up."""

    status: Status
    claim: Claim | None = None


@dataclass(frozen=True)
class Comparison:
    """Compares days in three steps, the cheapest first: records of the product, records of the source, objects."""

    place: str
    """The lake, as `Lake.place`. Records of other lakes are ignored."""
    products: Mapping[str, Provenance]
    """Records of the products by day."""
    sources: Callable[[Collection[str]], Mapping[str, Provenance]]
    """Queries the records of the sources of these days."""
    reader: Reader
    claim_of: Callable[[Mapping[str, str]], Claim | None]
    """From a product's Parquet metadata to its claim."""
    foreign: Status = Status.FOREIGN
    """The status of a product that another program wrote."""

    def compare(self, pairs: Mapping[str, Pair]) -> dict[str, Compared]:
        """The status of each day's product."""
        by_record = {day: known for day, pair in pairs.items() if (known := self._by_record(day, pair)) is not None}
        others = {day: pair for day, pair in pairs.items() if day not in by_record}
        claims = dict(self._claims({day: pair.product for day, pair in others.items() if pair.product is not None}))
        by_content = {
            day: others[day].source for day, claim in claims.items() if claim is not None and claim.needs_sha256
        }
        hashes = self._hashes(by_content)
        by_claim = {day: self._by_claim(others[day].source, claim, hashes.get(day)) for day, claim in claims.items()}
        return by_record | dict.fromkeys(others, Compared(Status.UNKNOWN)) | by_claim

    def _by_record(self, day: str, pair: Pair) -> Compared | None:
        """The status where listing and records are enough, else None. Reads no object."""
        if pair.product is None:
            return Compared(Status.MISSING)
        record = self._record(day, pair.product)
        if record is not None and record.source_etag == pair.source.etag:
            return Compared(Status.UP_TO_DATE, _claim(record))
        return None

    def _record(self, day: str, product: Listed) -> Provenance | None:
        """The record of this version of the product."""
        record = self.products.get(day)
        if record is None or record.source_sha256 is None or not record.is_of(self.place, product.etag):
            return None
        return record

    def _claims(self, products: Mapping[str, Listed]) -> Iterator[tuple[str, Claim | None]]:
        """Each product's claim, from its record or its Parquet metadata. Products that were not read are left out."""
        records = {day: record for day, product in products.items() if (record := self._record(day, product))}
        yield from ((day, _claim(record)) for day, record in records.items())
        read = self.reader.claims([each for day, each in products.items() if day not in records], self.claim_of)
        for day, product in products.items():
            if day not in records and product.version in read:
                yield day, read[product.version]

    def _hashes(self, sources: Mapping[str, Listed]) -> Mapping[str, str]:
        """The SHA-256 of each source, from its record or its content. Sources that were not read are left out."""
        records = self.sources(sources.keys()) if sources else {}
        recorded = {
            day: record.sha256
            for day, source in sources.items()
            if (record := records.get(day)) is not None and record.is_of(self.place, source.etag)
        }
        known = {day: sha256 for day, source in sources.items() if (sha256 := source.known_sha256) is not None}
        others = {day: source for day, source in sources.items() if day not in recorded | known}
        large = {day: NOT_HASHED for day, source in others.items() if source.size > HASHED_AT_MOST}
        read = self.reader.hashes([source for day, source in others.items() if day not in large])
        hashed = {day: read[each.version] for day, each in others.items() if each.version in read}
        return recorded | known | large | hashed

    def _by_claim(self, source: Listed, claim: Claim | None, sha256: str | None) -> Compared:
        if claim is None:
            return Compared(self.foreign)
        if claim.needs_sha256 and sha256 is None:
            return Compared(Status.UNKNOWN, claim)
        return Compared(Status.UP_TO_DATE if claim.is_of(source.etag, sha256) else Status.STALE, claim)


def _claim(record: Provenance) -> Claim:
    return Claim(record.source_sha256, rule=record.rule)
