"""The whole deployment at work: Kafka, S3, PostgreSQL, the three services, and a browser."""
