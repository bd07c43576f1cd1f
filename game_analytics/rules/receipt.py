"""What a stats file says of its own rows, so that a correction by hand is seen though a tool carries along what else
stands in the file's metadata."""

import hashlib
from collections.abc import Mapping

import polars as pl

COUNTED = "game_analytics.counted"
"""In the file's Parquet metadata: its own sums, ``rows=3 kills=12 deaths=4``."""

ROWS_SHA256 = "game_analytics.rows_sha256"
"""Beside them: the SHA-256 (hex) of its rows as lines of text. Sums stay when a player gets another name, or another
one's kills."""

_HASHED_AT_ONCE = 500_000
"""Rows that are text at the same time: some 20 bytes each."""


def receipt_of(stats: pl.DataFrame) -> dict[str, str]:
    """Both of them, of a player's column and whole numbers beside it."""
    sums = stats.select(pl.len().alias("rows"), pl.exclude("player_id").sum()).row(0, named=True)
    # By text and not by bytes of Parquet, which differ from version to version. No name holds a control character.
    line = pl.concat_str(pl.all().cast(pl.String), separator="\t")
    rows = hashlib.sha256()
    for part in stats.iter_slices(_HASHED_AT_ONCE):
        rows.update(part.select((line + "\n").str.join("")).item().encode())
    return {
        COUNTED: " ".join(f"{name}={value}" for name, value in sums.items()),
        ROWS_SHA256: rows.hexdigest(),
    }


def agrees(stats: pl.DataFrame, metadata: Mapping[str, str]) -> bool:
    """Whether the rows are those that the file's metadata tells of; a file of an earlier version tells of none."""
    told = {name: metadata[name] for name in (COUNTED, ROWS_SHA256) if name in metadata}
    return not told or (_columns_are_whole_numbers(stats) and told.items() <= receipt_of(stats).items())


def _columns_are_whole_numbers(stats: pl.DataFrame) -> bool:
    first, others = stats.columns[:1], stats.dtypes[1:]
    return first == ["player_id"] and stats.dtypes[0] == pl.String and all(dtype == pl.Int64 for dtype in others)
