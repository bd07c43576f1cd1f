"""From events to a published board: one file per asset, named like it, with its checks."""

import warnings

import dagster as dg

# Backfill policies are stable in practice and beta in name; the warning would greet every user of every command.
warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)
