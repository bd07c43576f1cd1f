#!/usr/bin/env bash
# Expected: a signed minus an unsigned 64-bit integer is one or the other, or a float, as in numpy and in Polars 1; and
# in a Parquet file with one unusual column, all other columns can be read.
#
# Seen instead: Polars 2 makes it Int128, a type that Parquet does not have, and writes it without a warning as 16 raw
# bytes, with no logical type; only the Arrow schema in the footer says "Int128". pyarrow fails on that schema and
# refuses the whole file: no other column can be read, not even the number of rows. DuckDB ignores the schema and reads
# BLOBs, which it sorts byte by byte, lowest byte first: ORDER BY succeeds, and is wrong. In descending order -1 comes
# before 2.
#
# Output with Polars 2.1.0 (1.44.2 for comparison), pyarrow 26.0.1, DuckDB 1.5.5, kills Int64, deaths UInt64, in short:
#   Polars 1.44.2: net is Float64, all read it       Polars 2.1.0: net is Int128, Polars itself reads it back
#   pyarrow, metadata alone: ArrowNotImplementedError: Integers with more than 64 bits not implemented
#   DuckDB, ORDER BY net DESC: b (-1), a (2); typeof(net) BLOB
#
# Affected: anyone who writes with Polars for other readers, once a count is unsigned (Daft's counts are uint64, and so
# are DuckDB's UBIGINT columns): after an upgrade of Polars its files are unreadable for pandas and everything based on
# pyarrow, and silently misordered in DuckDB.
# Workaround: cast to Int64 before write_parquet, and compare frame.schema with the agreed schema.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
install=(venv/bin/pip -q --disable-pip-version-check install --no-compile)
"${install[@]}" pyarrow==26.0.1 duckdb==1.5.5
"${install[@]}" --target polars_1 polars==1.44.2
"${install[@]}" --target polars_2 polars==2.1.0

cat >look.py <<'PYTHON'
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

print(f"Polars {pl.__version__}, pyarrow {pa.__version__}, DuckDB {duckdb.__version__}")
board = pl.DataFrame(
    {"player": ["a", "b"], "kills": [3, 1], "deaths": [1, 2]},
    schema={"player": pl.String, "kills": pl.Int64, "deaths": pl.UInt64},
).with_columns(net=pl.col("kills") - pl.col("deaths"))
board.write_parquet("board.parquet")
assert pl.read_parquet("board.parquet").equals(board)


def by_pyarrow(read) -> str:
    try:
        return str(read())
    except pa.ArrowNotImplementedError as refusal:
        return str(refusal)


rows = by_pyarrow(lambda: pq.read_metadata("board.parquet").num_rows)
players = by_pyarrow(lambda: pq.read_table("board.parquet", columns=["player"])["player"].to_pylist())
seen, order = (
    duckdb.sql(f"SELECT {column} FROM 'board.parquet' ORDER BY net DESC").fetchall()
    for column in ("typeof(net)", "player")
)
print(f"net is {board.schema['net']} and {board['net'].to_list()}")
print(f"pyarrow: rows: {rows}; players: {players}")
print(f"DuckDB: {seen[0][0]}, in descending order {[player for (player,) in order]}")
if pl.__version__ == "1.44.2":
    assert board.schema["net"] == pl.Float64 and (rows, players) == ("2", "['a', 'b']")
    assert order == [("a",), ("b",)]
else:
    assert board.schema["net"] == pl.Int128 and board["net"].to_list() == [2, -1]
    assert rows == players == "Integers with more than 64 bits not implemented"
    assert seen[0] == ("BLOB",) and order == [("b",), ("a",)]
PYTHON
PYTHONPATH=polars_1 venv/bin/python look.py
PYTHONPATH=polars_2 venv/bin/python look.py
