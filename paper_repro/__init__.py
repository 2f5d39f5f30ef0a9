"""Five papers on training variational autoencoders, reproduced with a verdict per claim."""

__version__ = "0.1.0"
