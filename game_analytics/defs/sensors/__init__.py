"""What watches and asks for runs by itself: one file per sensor, named like it."""
