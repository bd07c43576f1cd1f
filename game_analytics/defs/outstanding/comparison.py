"""Compares what lies in the lake with what it was made from: by Dagster's records where they agree with the listing,
else by what the objects say themselves.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from game_analytics.defs.history import Fact
from game_analytics.lake.bucket import Listed
from game_analytics.lake.claims import Claim
from game_analytics.lake.reader import HASHED_AT_MOST, Reader

NO_SHA256 = ""
"""In place of the hash of a file that is too large to be read here. It counts as changed where only its content could
tell: to make its product again costs a run, to hash the file would cost the tick."""


class Verdict(Enum):
    """How a product stands to its source."""

    MADE = auto()
    """From the source that lies there now."""
    MISSING = auto()
    BEHIND = auto()
    """Made from something else."""
    FOREIGN = auto()
    """It does not say what it was made from: somebody else wrote it."""
    UNKNOWN = auto()
    """It was not looked at, for want of time or because it could not be read."""


@dataclass(frozen=True)
class Pair:
    """A day's source, say its stats file, and what is made from it, if that is there."""

    source: Listed
    product: Listed | None


@dataclass(frozen=True)
class Judged:
    """A verdict, and what the product says of itself, if that was needed."""

    verdict: Verdict
    claim: Claim | None = None


@dataclass(frozen=True)
class Comparison:
    """All that a verdict is found by. Records of a day's source are asked for only where the product's own don't
    settle it, and objects are read only where no record tells."""

    place: str
    """The lake that is compared; a record of another one tells nothing of this one."""
    products: Mapping[str, Fact]
    sources: Callable[[Collection[str]], Mapping[str, Fact]]
    reader: Reader
    claim_of: Callable[[Mapping[str, str]], Claim | None]
    foreign: Verdict = Verdict.FOREIGN
    """On a product that somebody else wrote."""

    def judge(self, pairs: Mapping[str, Pair]) -> dict[str, Judged]:
        """How each day's product stands to its source."""
        at_sight = {day: seen for day, pair in pairs.items() if (seen := self._at_sight(day, pair)) is not None}
        left = {day: pair for day, pair in pairs.items() if day not in at_sight}
        claims = dict(self._claims({day: pair.product for day, pair in left.items() if pair.product is not None}))
        by_content = {
            day: left[day].source for day, claim in claims.items() if claim is not None and claim.needs_sha256
        }
        hashes = self._hashes(by_content)
        judged = {day: self._judged(left[day].source, claim, hashes.get(day)) for day, claim in claims.items()}
        return at_sight | dict.fromkeys(left, Judged(Verdict.UNKNOWN)) | judged

    def _at_sight(self, day: str, pair: Pair) -> Judged | None:
        """Without a look into any object."""
        if pair.product is None:
            return Judged(Verdict.MISSING)
        fact = self._fact(day, pair.product)
        if fact is not None and fact.source_etag == pair.source.etag:
            return Judged(Verdict.MADE, _recorded_claim(fact))
        return None

    def _fact(self, day: str, product: Listed) -> Fact | None:
        """What is recorded of the product that lies there."""
        fact = self.products.get(day)
        if fact is None or fact.source_sha256 is None or not fact.is_of(self.place, product.etag):
            return None
        return fact

    def _claims(self, products: Mapping[str, Listed]) -> Iterator[tuple[str, Claim | None]]:
        """What each product says that it was made from, as far as that was found out."""
        facts = {day: fact for day, product in products.items() if (fact := self._fact(day, product)) is not None}
        yield from ((day, _recorded_claim(fact)) for day, fact in facts.items())
        read = self.reader.claims([each for day, each in products.items() if day not in facts], self.claim_of)
        for day, product in products.items():
            if day not in facts and product.version in read:
                yield day, read[product.version]

    def _hashes(self, sources: Mapping[str, Listed]) -> Mapping[str, str]:
        """The SHA-256 of each source, as far as it was found out."""
        facts = self.sources(sources.keys()) if sources else {}
        known = {
            day: fact.sha256
            for day, source in sources.items()
            if (fact := facts.get(day)) is not None and fact.is_of(self.place, source.etag)
        }
        left = {day: source for day, source in sources.items() if day not in known}
        large = {day: NO_SHA256 for day, source in left.items() if source.size > HASHED_AT_MOST}
        read = self.reader.hashes([source for day, source in left.items() if day not in large])
        return known | large | {day: read[each.version] for day, each in left.items() if each.version in read}

    def _judged(self, source: Listed, claim: Claim | None, sha256: str | None) -> Judged:
        if claim is None:
            return Judged(self.foreign)
        if claim.needs_sha256 and sha256 is None:
            return Judged(Verdict.UNKNOWN, claim)
        return Judged(Verdict.MADE if claim.is_of(source.etag, sha256) else Verdict.BEHIND, claim)


def _recorded_claim(fact: Fact) -> Claim:
    return Claim(fact.source_sha256, rule=fact.rule)
