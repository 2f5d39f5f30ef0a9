"""What results are: rows of runs as tables and data frames, collected, checked, imported."""
