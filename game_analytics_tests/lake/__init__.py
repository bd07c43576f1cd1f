"""What is owed: comparisons, and what is read where no record tells."""
