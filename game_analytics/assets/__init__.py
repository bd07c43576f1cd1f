"""From events to a published board: one file per asset, named like it, with its checks."""
