#!/usr/bin/env bash
# Guess: the difference of two counts may be negative. SQL engines count in signed 64 bits, numpy and pandas too; kills less
# deaths of a player with 1 and 2 is -1, the last place.
#
# Instead: in Polars all counts (len, count, n_unique, the sum of a comparison, value_counts) are UInt32, the difference of
# two UInt32 is UInt32, and it wraps without a word: 1 - 2 is 4,294,967,295, rank one of every board there is. The same
# with a plain number: "kills - 3" of 1 kill. A later cast to Int64, strict as it may be, takes the wrapped number for good.
# A division goes by floats and is right: kills / deaths of the same player is 0.5.
#
# Seen with Polars 2.1.0 and 1.44.2, DuckDB 1.5.5 and pandas 2.3.3 on the same five events:
#   Polars   b 4294967295, a 2 (UInt32), eager and lazy alike
#   DuckDB   a 2, b -1        pandas   a 2, b -1
#
# It hurts ranking, balances ("read less counted"), and day-over-day changes. Checks of the kind "no negative number" stay
# green, as do tests whose players all win more than they lose.
# Live with it: cast each count to Int64 where it is made, before any arithmetic, and check the schema of what is written.
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
