"""What task composed_vae refuses among its parameters, and why: see `paper_repro.fits`."""

REFUSES = (
    (
        {"guide": {"const": "linear"}, "estimator": {"not": {"const": "annealed"}}},
        "guide: serves estimator 'annealed' alone",
    ),
    (
        {"guide": {"const": "linear"}, "objective": {"const": "geco"}},
        "guide: its likelihood has no place in objective 'geco'",
    ),
    (
        {
            "guide": {"const": "linear"},
            "likelihood": {"not": {"enum": ["gaussian", "gaussian_gamma", "gaussian_pixel"]}},
        },
        "guide: needs likelihood gaussian, gaussian_gamma or gaussian_pixel",
    ),
    (
        {"objective": {"const": "geco"}, "constraints": {"maxItems": 0}},
        "constraints: objective 'geco' needs at least one",
    ),
    (
        {"objective": {"not": {"const": "geco"}}, "constraints": {"minItems": 1}},
        "constraints: objective 'geco' alone takes them",
    ),
    (
        {"prior": {"const": "standard"}, "prior_options": {"minProperties": 1}},
        "prior_options: the standard prior has none",
    ),
    (
        {"prior": {"const": "flow"}, "latent": {"not": {"const": "gaussian"}}},
        "prior: 'flow' serves latent 'gaussian' alone",
    ),
    (
        {"gamma": {"not": {"const": 1}}, "likelihood": {"not": {"const": "gaussian_gamma"}}},
        "gamma: starts a learned variance, which likelihood 'gaussian_gamma' alone has",
    ),
    (
        {"compare": {"minItems": 1}, "gradient_draws": {"maximum": 1}},
        "gradient_draws: 2 or more go with `compare`",
    ),
    (
        {"compare": {"maxItems": 0}, "gradient_draws": {"minimum": 1}},
        "gradient_draws: 0 without `compare`",
    ),
    (
        {"compare": {"minItems": 1}, "objective": {"not": {"const": "elbo"}}},
        "compare: gradients are of the objective 'elbo'",
    ),
    (
        {"preprocessing": {"const": "none"}, "pictures": {"minimum": 1}},
        "pictures: are of images, and preprocessing 'none' is for vectors",
    ),
    (
        {
            "preprocessing": {"const": "none"},
            "likelihood_options": {
                "required": ["link"],
                "properties": {"link": {"const": "sigmoid"}},
            },
        },
        "likelihood_options.link: 'sigmoid' is for images, and preprocessing 'none' for vectors",
    ),
    (
        {"watch": {"const": True}, "latent": {"not": {"const": "gaussian"}}},
        "watch: takes Gaussian latents",
    ),
    (
        {"watch": {"const": True}, "objective": {"const": "geco"}},
        "watch: takes no constraint",
    ),
    ({"watch": {"const": True}, "guide": {"const": "linear"}}, "watch: takes no guide"),
)
