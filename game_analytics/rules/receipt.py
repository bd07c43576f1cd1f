"""Checksums of a stats file's rows, kept in its Parquet metadata. They reveal that rows were changed by a tool that
copied the metadata unchanged."""

import hashlib
from collections.abc import Mapping

import polars as pl

COUNTED = "game_analytics.counted"
"""Parquet metadata key: the number of rows and the columns' sums, ``rows=3 kills=12 deaths=4``."""

ROWS_SHA256 = "game_analytics.rows_sha256"
"""Parquet metadata key: the SHA-256 (hex) of the rows as lines of text. It changes when a player is renamed or two
players' counts are swapped; the sums don't."""

_ROWS_PER_PART = 500_000
"""Rows held as text at a time, some 20 bytes each."""


def receipt_of(stats: pl.DataFrame) -> dict[str, str]:
    """The metadata entries of stats with the columns ``player_id`` (string) and any number of int64 columns."""
    sums = stats.select(pl.len().alias("rows"), pl.exclude("player_id").sum()).row(0, named=True)
    # Hashed as text: Parquet bytes differ between library versions. No player id contains tab or newline.
    line = pl.concat_str(pl.all().cast(pl.String), separator="\t")
    rows = hashlib.sha256()
    for part in stats.iter_slices(_ROWS_PER_PART):
        rows.update(part.select((line + "\n").str.join("")).item().encode())
    return {
        COUNTED: " ".join(f"{name}={value}" for name, value in sums.items()),
        ROWS_SHA256: rows.hexdigest(),
    }


def agrees(stats: pl.DataFrame, metadata: Mapping[str, str]) -> bool:
    """Whether the rows match the checksums in the file's metadata. True for files of earlier versions, without any."""
    recorded = {name: metadata[name] for name in (COUNTED, ROWS_SHA256) if name in metadata}
    return not recorded or (_has_stats_columns(stats) and recorded.items() <= receipt_of(stats).items())


def _has_stats_columns(stats: pl.DataFrame) -> bool:
    first, others = stats.columns[:1], stats.dtypes[1:]
    return first == ["player_id"] and stats.dtypes[0] == pl.String and all(dtype == pl.Int64 for dtype in others)
