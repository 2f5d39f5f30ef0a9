"""What is measured of a trained VAE, by protocols that a cell names.

A protocol says which training curves a run has and what is measured at its marks and at its end;
its literal PARAMS are parameters of the cells that name it.
"""
