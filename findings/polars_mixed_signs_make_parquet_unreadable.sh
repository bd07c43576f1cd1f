#!/usr/bin/env bash
# Guess: signed less unsigned 64 bits gives one or the other, or a float, as in numpy and in Polars 1; and a Parquet file
# with an odd column can be read in all its other columns.
#
# Instead: Polars 2 makes it Int128, a type that Parquet does not have, and writes it without complaint as 16 raw bytes, with no
# logical type and "Int128" only in the Arrow schema that goes along in the footer. pyarrow stumbles over that schema
# and refuses the whole file: not one other column, not even the number of rows. DuckDB ignores it and sees BLOBs, which
# it sorts byte by byte, lowest byte first: ORDER BY works, and is wrong. -1 comes before 2, in descending order.
#
# Seen with Polars 2.1.0 (1.44.2 for comparison), pyarrow 26.0.1, DuckDB 1.5.5, kills Int64, deaths UInt64:
#   Polars 1.44.2: net is Float64, read by all       Polars 2.1.0: net is Int128, read back by itself
#   pyarrow, metadata alone: ArrowNotImplementedError: Integers with more than 64 bits not implemented
#   DuckDB, ORDER BY net DESC: b (-1), a (2); typeof(net) BLOB
#
# It hurts whoever writes with Polars what others read, once a count comes in unsigned (Daft's counts are uint64, so are
# UBIGINT columns of DuckDB): an upgrade of Polars makes its files unreadable for pandas and all that stands on pyarrow,
# and silently misordered for DuckDB. Live with it: cast to Int64 before write_parquet, and compare frame.schema with the
# schema that was agreed upon.
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
