#!/usr/bin/env bash
# Expected: the difference of two counts may be negative. SQL engines, numpy and pandas count in signed 64 bits: for a
# player with 1 kill and 2 deaths, kills minus deaths is -1, the last place.
#
# Seen instead: in Polars all counts (len, count, n_unique, the sum of a comparison, value_counts) are UInt32, and so is
# the difference of two of them, which overflows silently: 1 - 2 is 4,294,967,295, rank one of every board. The same
# happens with a plain number: "kills - 3" of 1 kill. A later cast to Int64, even a strict one, keeps the wrong number.
# A division uses floats and is right: kills / deaths of the same player is 0.5.
#
# Output with Polars 2.1.0 and 1.44.2, DuckDB 1.5.5 and pandas 2.3.3 on the same five events, in short:
#   Polars   b 4294967295, a 2 (UInt32), eager and lazy alike
#   DuckDB   a 2, b -1        pandas   a 2, b -1
#
# Affected: rankings, balances ("read minus counted"), and day-over-day changes. Checks such as "no negative number"
# pass, as do tests in which every player wins more than they lose.
# Workaround: cast each count to Int64 where it is computed, before any arithmetic, and check the schema of what is
# written.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
install=(venv/bin/pip -q --disable-pip-version-check install --no-compile)
"${install[@]}" duckdb==1.5.5 pandas==2.3.3
"${install[@]}" --target polars_1 polars==1.44.2
"${install[@]}" --target polars_2 polars==2.1.0

cat >look.py <<'PYTHON'
import duckdb
import pandas as pd
import polars as pl

print(f"Polars {pl.__version__}, DuckDB {duckdb.__version__}, pandas {pd.__version__}")
rows = {"player": ["a", "a", "b", "b", "b"], "type": ["kill", "kill", "kill", "death", "death"]}
kills, deaths = ((pl.col("type") == kind).sum() for kind in ("kill", "death"))
net = {"net": kills - deaths, "kills_less_3": kills - 3, "ratio": kills / deaths}
eager = pl.DataFrame(rows).group_by("player").agg(**net).sort("net", descending=True)
lazy = pl.LazyFrame(rows).group_by("player").agg(**net).sort("net", descending=True).collect()
print(eager)
assert eager.equals(lazy)
assert eager.schema["net"] == pl.UInt32
assert eager.select("player", "net").rows() == [("b", 2**32 - 1), ("a", 2)]
assert eager["kills_less_3"].to_list() == [2**32 - 2, 2**32 - 1]
assert eager["ratio"].to_list() == [0.5, float("inf")]

signed = pl.DataFrame(rows).group_by("player").agg(net=kills.cast(pl.Int64) - deaths.cast(pl.Int64))
print("Polars, each count cast to Int64:", dict(signed.sort("player").rows()))
assert dict(signed.rows()) == {"a": 2, "b": -1}

events = pd.DataFrame(rows)
query = "SELECT player, count(*) FILTER (type = 'kill') - count(*) FILTER (type = 'death') FROM events GROUP BY ALL"
by_duckdb = dict(duckdb.sql(query).fetchall())
by_player = [(events["type"] == kind).groupby(events["player"]).sum() for kind in ("kill", "death")]
by_pandas = (by_player[0] - by_player[1]).to_dict()
print("DuckDB:", by_duckdb, "pandas:", by_pandas)
assert by_duckdb == by_pandas == {"a": 2, "b": -1}
PYTHON
PYTHONPATH=polars_1 venv/bin/python look.py
PYTHONPATH=polars_2 venv/bin/python look.py
