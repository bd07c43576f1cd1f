#!/usr/bin/env bash
# Expected: an asset sensor requests a run for each new materialization of its asset. Deleting an old run, in the UI or
# with `dagster run delete`, only cleans up history.
#
# Seen instead: the sensor's cursor is the storage id of the last event that it handled. On SQLite, which `dagster dev`
# and every instance without a database use, ids of deleted rows are reused: SQLite assigns the table's greatest id plus
# one, unless the table is declared AUTOINCREMENT, and Dagster's is not. Delete the newest run and materialize the asset
# again: the new event gets an id at or below the cursor, and ticks are skipped ("No new materialization events"). The
# sensor never requests a run for that materialization; it does for the next one.
#
# Output with dagster 1.13.27, SQLAlchemy 2.1.9, sqlite 3 of Python 3.11, in short:
#   first run: event 3, 1 request | run deleted | second run: event 3 again, 0 requests | third run: event 7, 1 request
#
# Affected: anyone who deletes a bad run and repeats it, when the repeated run is the one that matters; and all code
# that keeps a storage id to mark what it has seen (a cursor, a cache key, "newer than").
# Workaround: compare facts of the event itself (run id, data version, an ETag in its metadata) for equality instead of
# ids for order; or launch the run by hand after a delete; or keep history in PostgreSQL, whose sequences do not reuse
# numbers.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile dagster==1.13.27 SQLAlchemy==2.1.9
export DAGSTER_HOME="$work/home"
mkdir "$DAGSTER_HOME"
echo 'telemetry: {enabled: false}' >"$DAGSTER_HOME/dagster.yaml"

timeout 200 venv/bin/python - 2>log <<'PYTHON' || { tail -n 20 log; exit 1; }
import sqlite3

import dagster as dg
import sqlalchemy

print(f"dagster {dg.__version__}, SQLAlchemy {sqlalchemy.__version__}, SQLite {sqlite3.sqlite_version}")


@dg.asset
def landing() -> None: ...


@dg.job
def follow() -> None: ...


@dg.asset_sensor(asset_key=dg.AssetKey("landing"), job=follow)
def on_landing(context, event):
    return dg.RunRequest(run_key=event.run_id)


definitions = dg.Definitions(assets=[landing], jobs=[follow], sensors=[on_landing])


class Follower:
    """Ticks as the daemon does: the cursor of one tick is the next one's."""

    cursor: str | None = None

    def tick(self, instance: dg.DagsterInstance) -> list[str | None]:
        repository = definitions.get_repository_def()
        context = dg.build_sensor_context(instance=instance, cursor=self.cursor, repository_def=repository)
        answer = on_landing.evaluate_tick(context)
        self.cursor = answer.cursor or self.cursor
        return [request.run_key for request in answer.run_requests]


with dg.DagsterInstance.get() as instance:
    follower = Follower()
    seen = []
    for number in (1, 2, 3):
        run = dg.materialize([landing], instance=instance)
        (event,) = instance.fetch_materializations(dg.AssetKey("landing"), limit=1).records
        assert run.success and event.run_id == run.run_id
        requests = follower.tick(instance) + follower.tick(instance)
        assert requests in ([], [run.run_id])
        print(f"run {number}: event {event.storage_id}, requests {len(requests)}, cursor {follower.cursor}")
        seen.append((event.storage_id, len(requests)))
        if number == 1:
            instance.delete_run(run.run_id)
            print("run 1 deleted")

(first, followed), (second, missed), (third, followed_again) = seen
assert second <= first < third
assert (followed, missed, followed_again) == (1, 0, 1)
PYTHON
