"""Links from an asset's page to its source code."""

import warnings
from collections.abc import Sequence

import dagster as dg


def with_source_links(assets: Sequence[dg.AssetsDefinition]) -> Sequence[dg.AssetsDefinition]:
    """The same assets, each with the file and line of its body."""
    with warnings.catch_warnings():
        # A beta API: without this, every command would begin with its warnings.
        warnings.simplefilter("ignore", dg.BetaWarning)
        linked = dg.with_source_code_references(assets)
    return [asset for asset in linked if isinstance(asset, dg.AssetsDefinition)]
