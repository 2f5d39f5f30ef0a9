"""The units that a result may bear.

Sum and mean are never left to guess: the unit says per what, and an unknown unit is an error.
"""

CHANGES_NO_NUMBER = True
UNITS = frozenset(
    {
        "nats/image",  # summed over the pixels of one image, averaged over images
        "nats/value",  # a bound over the number of values of an image, channels included
        "nats",  # a KL divergence or bound that belongs to no image (toy targets)
        "nats^2",  # variance, or trace of covariance, of a gradient of nats
        "bits/dim",
        "mse/pixel",
        "rmse/pixel",
        "sse/image",  # squared error summed over the pixels of one image
        "1",  # dimensionless: ratios, z scores, counts, probabilities
        "s",
        "steps/s",
        "MiB",
    }
)
