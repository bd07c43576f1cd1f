"""The sensors, one file each, named like the sensor."""
