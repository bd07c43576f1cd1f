"""What the bytes of a message say: one file per format."""
