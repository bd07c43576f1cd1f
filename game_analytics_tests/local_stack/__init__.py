"""The local servers, started for real on free loopback ports."""
