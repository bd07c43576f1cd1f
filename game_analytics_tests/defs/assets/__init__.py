"""Each asset against a real S3 API."""
