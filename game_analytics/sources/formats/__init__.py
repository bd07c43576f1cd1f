"""Formats of messages, one file each."""
