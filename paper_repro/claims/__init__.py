"""What is claimed: which rows a claim selects, how they are compared, and the verdict."""
