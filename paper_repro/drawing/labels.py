"""How figures and tables call what was measured, with its unit where the name does not hold it, and
what stands where nothing was.

Data sets are called as `data.names.shown` says.
"""

NOT_RUN = "not run"
METRICS = {
    "active_units": "active units",
    "effective_rank": "effective rank",
    "elbo": "ELBO (nats/image)",
    "gradient_variance": "variance (nats²)",
    "gradient_variance_trace": "trace of covariance (nats²)",
    "informative_units": "active dims",
    "kl": "KL(q ‖ truth) (nats)",
    "mmd": "MMD x 1000",
    "mse": "MSE per pixel",
    "nll": "test NLL (nats/image)",
    "rate": "KL (nats/image)",
    "rmse": "RMS error per pixel",
    "snr": "signal-to-noise ratio |mean| / sd",
    "sse": "squared error per image",
}
