#!/usr/bin/env bash
# Expected: a query over a Parquet file gives the same answer as over a table of the same rows, whichever program wrote
# the file. DuckDB treats NaN as the greatest number: above every other, first in descending order.
#
# Seen instead: by Parquet's rules a column's min and max leave NaN out, and readers must not use them where NaN
# matters. pyarrow and Polars write files that way (DuckDB itself writes no bounds where there is a NaN), but DuckDB
# relies on the bounds. Take three players with the ratios 0.5, NaN (0 kills by 0 deaths) and 1.0. "kd > 2" is true for
# NaN in the table, and finds no row in the file. "kd <= 1" is false for NaN in the table, and returns it from the file.
# max() depends on the writer. The order puts a player first that no filter finds. In DuckDB 2 even isnan(kd) does not
# find it.
#
# Output with DuckDB 1.5.5 and 2.0.1, files written by pyarrow 26.0.1, Polars 2.1.0 and DuckDB (players a, b = NaN, c):
#                      table   DuckDB's file   pyarrow's        Polars'
#   kd > 2             b       b               -                -
#   kd <= 1            a c     a c             a b c            a b c
#   isnan(kd)          b       b               b (2.0.1: -)     b (2.0.1: -)
#   max(kd)            nan     nan             1.0              nan
#   first, descending  b       b               b                b
#
# Affected: checks that guard a ranking ("no row above X", "no NaN") on Parquet from another writer: they pass, and NaN
# is rank one.
# Workaround: check a copy in a (temporary) table, which has no such bounds; rank by integers; write NULL instead of
# NaN. Arithmetic in the filter ("kd + 0.0 > 2") no longer helps in 2.0.1.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
install=(venv/bin/pip -q --disable-pip-version-check install --no-compile)
"${install[@]}" pyarrow==26.0.1 polars==2.1.0
"${install[@]}" --target duckdb_1 duckdb==1.5.5
"${install[@]}" --target duckdb_2 duckdb==2.0.1

cat >look.py <<'PYTHON'
import math

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

print(f"DuckDB {duckdb.__version__}, pyarrow {pa.__version__}, Polars {pl.__version__}")
rows = {"player": ["a", "b", "c"], "kd": [0.5, math.nan, 1.0]}
pq.write_table(pa.table(rows), "pyarrow.parquet")
pl.DataFrame(rows).write_parquet("polars.parquet")
con = duckdb.connect()
con.execute("CREATE TABLE ratios AS SELECT * FROM (VALUES ('a', 0.5::DOUBLE), ('b', 'nan'), ('c', 1.0)) t(player, kd)")
con.execute("COPY ratios TO 'duckdb.parquet'")
PLACES = ("ratios", "'duckdb.parquet'", "'pyarrow.parquet'", "'polars.parquet'")


def ask(query: str) -> list[str]:
    found = [con.execute(query.format(place)).fetchall() for place in PLACES]
    answers = [" ".join(sorted(str(row[0]) for row in each)) or "-" for each in found]
    print(f"{query:55}", answers)
    return answers


unseen = "b" if duckdb.__version__ == "1.5.5" else "-"
assert ask("SELECT player FROM {} WHERE kd > 2") == ["b", "b", "-", "-"]
assert ask("SELECT player FROM {} WHERE kd <= 1") == ["a c", "a c", "a b c", "a b c"]
assert ask("SELECT player FROM {} WHERE isnan(kd)") == ["b", "b", unseen, unseen]
assert ask("SELECT max(kd) FROM {}") == ["nan", "nan", "1.0", "nan"]
assert ask("SELECT player FROM {} ORDER BY kd DESC LIMIT 1") == ["b"] * 4
assert ask("SELECT player FROM {} WHERE kd + 0.0 > 2") == ["b", "b", unseen, unseen]
for number, place in enumerate(PLACES):
    con.execute(f"CREATE TEMP TABLE copy_{number} AS SELECT * FROM {place}")
PLACES = tuple(f"copy_{number}" for number in range(len(PLACES)))
assert ask("SELECT player FROM {} WHERE kd > 2") == ["b"] * 4
assert ask("SELECT player FROM {} WHERE isnan(kd)") == ["b"] * 4
PYTHON
PYTHONPATH=duckdb_1 venv/bin/python look.py
PYTHONPATH=duckdb_2 venv/bin/python look.py
