"""Tests against a real Apache Kafka, one broker for all of them."""
