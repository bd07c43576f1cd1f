#!/usr/bin/env bash
# Expected: many Parquet files that are read as one table get a type that holds all their values, or are refused. Other
# readers refuse: Polars raises SchemaError, pyarrow's dataset raises ArrowInvalid.
#
# Seen instead: DuckDB takes the types of the first file and casts the others, silently and with loss. The first file is
# the first by name (or in the list), so for days it is the oldest. Let damage be an integer on the 29th (BIGINT) and a
# fraction on the 30th (DOUBLE, which pandas makes of a column that once had a gap): 99.6 of the 30th is read as 100 and
# ties for rank one, 0.4 is read as 0. With a DATE on the first day all later timestamps lose their time of day. In the
# opposite order all values are right.
# In 1.5.5 a row even contradicts itself: it is shown as 100, and "damage >= 100" does not find it, since that filter
# uses the file's bounds, which are those of the uncast numbers. 2.0.1 finds it, as 100.
#
# Output with DuckDB 1.5.5 and 2.0.1, files of pyarrow 26.0.1, in short:
#   both days: c 100, a 100, b 80, d 0 (sum 280)   other order, or union_by_name = true: a 100.0, c 99.6, b 80.0, d 0.4
#   count(*) with "damage >= 100": 1 in 1.5.5, 2 in 2.0.1      second file's 23:59 of 30 December: only the date
#
# Affected: anyone who reads a lake by a glob after a producer changed a type: totals are wrong, and nothing fails.
# Workaround: always use union_by_name = true (it reads each file's footer), or compare the types of all files with the
# expected ones before reading (parquet_schema() of the glob).
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
from datetime import date, datetime

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

print(f"DuckDB {duckdb.__version__}, pyarrow {pa.__version__}, Polars {pl.__version__}")
days = ["2025_12_29.parquet", "2025_12_30.parquet"]
pq.write_table(pa.table({"player": ["a", "b"], "damage": [100, 80]}), days[0])
pq.write_table(pa.table({"player": ["c", "d"], "damage": [99.6, 0.4]}), days[1])
times = ["first_time.parquet", "second_time.parquet"]
pq.write_table(pa.table({"seen": [date(2025, 12, 29)]}), times[0])
pq.write_table(pa.table({"seen": [datetime(2025, 12, 30, 23, 59)]}), times[1])


def ask(query: str, *parameters: object) -> list[tuple]:
    rows = duckdb.execute(query, parameters).fetchall()
    print(f"{query:80}", rows)
    return rows


rounded = [("a", 100), ("b", 80), ("c", 100), ("d", 0)]
exact = [("a", 100), ("b", 80), ("c", 99.6), ("d", 0.4)]
assert sorted(ask("SELECT player, damage FROM '2025*.parquet' ORDER BY damage DESC")) == rounded
assert ask("SELECT sum(damage) FROM '2025*.parquet'") == [(280,)]
assert sorted(ask("SELECT player, damage FROM read_parquet(?)", days[::-1])) == exact
assert sorted(ask("SELECT player, damage FROM read_parquet(?, union_by_name = true)", days)) == exact
found = 1 if duckdb.__version__ == "1.5.5" else 2
assert ask("SELECT count(*) FROM '2025*.parquet' WHERE damage >= 100") == [(found,)]
assert ask("SELECT max(seen) FROM read_parquet(?)", times) == [(date(2025, 12, 30),)]

for name, read in (
    ("Polars", lambda: pl.scan_parquet(days).collect()),
    ("pyarrow", lambda: ds.dataset(days).to_table()),
):
    try:
        read()
    except (pl.exceptions.SchemaError, pa.ArrowInvalid) as refusal:
        print(f"{name} refuses: {refusal}")
    else:
        raise AssertionError(f"{name} reads both")
PYTHON
PYTHONPATH=duckdb_1 venv/bin/python look.py
PYTHONPATH=duckdb_2 venv/bin/python look.py
