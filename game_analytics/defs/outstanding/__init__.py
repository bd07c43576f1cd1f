"""What is owed, as a fact of the lake: which objects were not made from what lies there now."""
