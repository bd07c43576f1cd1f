"""Outstanding work: which days have a product that is missing or stale, and which of them need a run."""
