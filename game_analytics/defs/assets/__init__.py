"""The assets, one file each, named like the asset, with their checks."""

import warnings

import dagster as dg

# A beta parameter: without this, every command would begin with its warning.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)
