"""Each row of what the sensor promises, by direct call and as the daemon evaluates it."""
