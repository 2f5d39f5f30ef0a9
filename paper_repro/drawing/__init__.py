"""How results are drawn: the look of figures, panels, rows of pictures, tables."""
