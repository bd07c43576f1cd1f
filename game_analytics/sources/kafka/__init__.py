"""The event log that is a Kafka topic, on confluent-kafka."""
