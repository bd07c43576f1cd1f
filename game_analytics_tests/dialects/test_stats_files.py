"""Stats files as other programs' libraries write them. The files in ``stats/`` were written by these versions:

pyarrow 25.0.1, pandas 3.1.1 (with pyarrow), fastparquet 2026.9.0, daft 0.7.26, hyparquet-writer 0.17.0 (JavaScript),
DuckDB 1.5.5 and 2.0.1. Each holds two or three players; ann leads.
"""

import re
from pathlib import Path

import pytest

from game_analytics.lake.names import stats_key
from game_analytics.leaderboards.stats_file import connect
from game_analytics.leaderboards.top10 import publish_board
from game_analytics.rules.leaderboard import BadStats
from game_analytics_tests.support.lakes import MemoryLake
from game_analytics_tests.support.samples import DAY

FILES = Path(__file__).parent / "stats"

ALIKE = [(1, "ann", 3, 3, 1.0), (2, "bob", 1, 1, 1.0)]
"""Both columns hold 3 and 1."""
ONE_DEATH = [(1, "ann", 3, 1, 3.0), (2, "bob", 1, 1, 1.0)]
MERGED = [(1, "ann", 3, 0, 3.0), (2, "bob", 1, 1, 1.0), (3, "cem", 0, 2, 0.0)]
"""An outer join of kills and deaths, missing ones filled with 0: floats."""
LEFT = [(1, "ann", 3, 0, 3.0), (2, "bob", 1, 1, 1.0)]

RANKED = {
    "pyarrow_int8": ALIKE,
    "pyarrow_uint64": ALIKE,
    "pyarrow_float": ALIKE,
    "pyarrow_double": ALIKE,
    "pyarrow_decimal_38_10": ALIKE,
    "pyarrow_decimal_5_0": ALIKE,
    "pyarrow_large_string": ALIKE,
    "pyarrow_dictionary": ALIKE,
    "pyarrow_codec_brotli": ALIKE,
    "pyarrow_codec_gzip": ALIKE,
    "pyarrow_codec_lz4": ALIKE,
    "pyarrow_page_2.0": ALIKE,
    "pyarrow_enc_DELTA_BINARY_PACKED": ALIKE,
    "pyarrow_enc_BYTE_STREAM_SPLIT": ALIKE,
    "pyarrow_enc_DELTA_BYTE_ARRAY": ALIKE,
    "pandas_outer_merge": MERGED,
    "fastparquet": ONE_DEATH,
    "fastparquet_outer": MERGED,
    "fastparquet_LZ4": ONE_DEATH,
    "hyparquet_numbers": ONE_DEATH,
    "hyparquet_double": ONE_DEATH,
    "hyparquet_bigint": ONE_DEATH,
    "duckdb_1_5_5_sum": ONE_DEATH,
    "duckdb_2_0_1_sum": ONE_DEATH,
    "daft_fill_null": LEFT,
}

REFUSED = {
    "pyarrow_binary": "column player_id is BLOB; a string is expected; write it as a string",
    "pyarrow_uuid": "column player_id is UUID; a string is expected; write it as a string of 36 characters",
    "pyarrow_halffloat": "column kills is a float of 16 bits, which holds each whole number only up to 2^11",
    "pyarrow_decimal256_40": "column kills is a decimal of 40 digits; at most 38 can be read exactly",
    "pyarrow_float_fraction": "column kills, row 1: 3.5; a whole number from 0 to 2^53 is expected",
    "pyarrow_nan": "column kills, row 1: nan; a whole number from 0 to 2^53 is expected",
    "pyarrow_kills_Kills": "columns kills and Kills have the same name but for case",
    "pyarrow_Kills_kills": "columns Kills and kills have the same name but for case",
    "pyarrow_kills_twice": "columns kills and kills have the same name but for case",
    "pyarrow_encrypted": "is encrypted Parquet, which is not read here: write it without encryption",
    "pyarrow_encrypted_column": "is encrypted Parquet, which is not read here: write it without encryption",
}


def lake_with(name: str) -> MemoryLake:
    lake = MemoryLake()
    lake.put(stats_key(DAY), (FILES / f"{name}.parquet").read_bytes())
    return lake


def test_each_file_has_its_expectation() -> None:
    assert {file.stem for file in FILES.iterdir()} == RANKED.keys() | REFUSED.keys()


@pytest.mark.parametrize(("name", "rows"), RANKED.items(), ids=RANKED.keys())
def test_a_file_with_whole_numbers_of_any_type_is_ranked(name: str, rows: list[tuple[object, ...]]) -> None:
    with connect() as connection:
        assert publish_board(lake_with(name), connection, DAY, 0).rows.rows() == rows


@pytest.mark.parametrize(("name", "said"), REFUSED.items(), ids=REFUSED.keys())
def test_a_file_that_can_t_be_ranked_is_refused_with_what_to_write_instead(name: str, said: str) -> None:
    with connect() as connection, pytest.raises(BadStats, match=re.escape(said)):
        publish_board(lake_with(name), connection, DAY, 0)


def test_a_codec_that_duckdb_does_not_read_is_named_as_such() -> None:
    """A file that says it is compressed by LZO."""
    body = (FILES / "pyarrow_int8.parquet").read_bytes()
    kills = b"\x19\x18\x05kills\x15"
    assert body.count(kills) == 1
    at = body.index(kills) + len(kills)
    lake = MemoryLake()
    lake.put(stats_key(DAY), body[:at] + b"\x06" + body[at + 1 :])
    with connect() as connection, pytest.raises(BadStats, match=r"is compressed by a codec that DuckDB does not read"):
        publish_board(lake, connection, DAY, 0)


def test_a_lake_whose_name_holds_such_words_misleads_nobody() -> None:
    lake = MemoryLake(bucket="is-encrypted-codec-encoding")
    lake.put(stats_key(DAY), b"no Parquet")
    with connect() as connection, pytest.raises(BadStats, match=r"can't be read as Parquet"):
        publish_board(lake, connection, DAY, 0)
