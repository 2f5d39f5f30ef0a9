"""What task vae refuses among its parameters, and why: see `paper_repro.fits`."""

REFUSES = (
    (
        {"guide": {"const": "linear"}, "estimator": {"not": {"const": "annealed"}}},
        "guide: works with estimator 'annealed' only",
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
        {
            "guide": {"const": "linear"},
            "likelihood_options": {
                "required": ["link"],
                "properties": {"link": {"not": {"const": "identity"}}},
            },
        },
        "guide: needs the identity as the likelihood's link",
    ),
    (
        {"objective": {"not": {"const": "geco"}}, "constraints": {"minProperties": 1}},
        "constraints: only objective 'geco' takes them",
    ),
    (
        {"objective": {"not": {"const": "geco"}}, "kappa": {"not": {"const": 0}}},
        "kappa: only objective 'geco' takes constraints",
    ),
    (
        {
            "objective": {"const": "geco"},
            "constraints": {"maxProperties": 0},
            "kappa": {"const": 0},
        },
        "kappa, constraints: objective 'geco' needs at least one",
    ),
    (
        {"objective": {"const": "geco"}, "likelihood": {"not": {"const": "gaussian"}}},
        "likelihood: objective 'geco' takes 'gaussian', of which it uses the mean alone",
    ),
    (
        {
            "constraints": {"anyOf": [{"required": ["FRE"]}, {"required": ["CLA"]}]},
            "classifier_steps": {"const": 0},
        },
        "classifier_steps: 0, but constraints FRE and CLA need a classifier",
    ),
    (
        {
            "prior": {"const": "standard"},
            "prior_options": {"minProperties": 1},
            "model": {"not": {"const": "convdraw"}},
        },
        "prior_options: the standard prior has none",
    ),
    (
        {"prior": {"const": "flow"}, "latent": {"not": {"const": "gaussian"}}},
        "prior: 'flow' works with latent 'gaussian' only",
    ),
    (
        {"prior": {"const": "flow"}, "layers": {"const": 2}},
        "prior: 'flow' works with one stochastic layer only",
    ),
    (
        {"model": {"const": "convdraw"}, "prior": {"not": {"const": "standard"}}},
        "prior: ConvDRAW brings its own",
    ),
    (
        {"model": {"const": "convdraw"}, "latent": {"not": {"const": "gaussian"}}},
        "latent: ConvDRAW's steps are Gaussian",
    ),
    (
        {"model": {"const": "convdraw"}, "decoder": {"not": {"const": ""}}},
        "decoder: ConvDRAW is one network",
    ),
    (
        {
            "model": {"const": "convdraw"},
            "likelihood_options": {
                "not": {"required": ["link"], "properties": {"link": {"const": "sigmoid"}}}
            },
        },
        "likelihood_options.link: ConvDRAW's mean is a sigmoid of its canvas",
    ),
    (
        {"layers": {"const": 2}, "model": {"not": {"const": "burda"}}},
        "layers: only model 'burda' has two",
    ),
    (
        {"model": {"const": "burda"}, "latent": {"not": {"const": "gaussian"}}},
        "latent: model 'burda' has Gaussian layers",
    ),
    (
        {"model": {"const": "burda"}, "decoder": {"not": {"const": ""}}},
        "decoder: model 'burda' brings its own",
    ),
    (
        {"protocol": {"const": "importance"}, "model": {"not": {"const": "burda"}}},
        "protocol: 'importance' measures model 'burda' only",
    ),
    (
        {"gamma": {"not": {"const": 1}}, "likelihood": {"not": {"const": "gaussian_gamma"}}},
        "gamma: only likelihood 'gaussian_gamma' has a learned variance to initialise",
    ),
    (
        {
            "protocol": {"const": "bounds"},
            "compare": {"minItems": 1},
            "gradient_draws": {"maximum": 1},
        },
        "gradient_draws: at least 2 with `compare`",
    ),
    (
        {
            "protocol": {"const": "bounds"},
            "compare": {"maxItems": 0},
            "gradient_draws": {"minimum": 1},
        },
        "gradient_draws: must be 0 without `compare`",
    ),
    (
        {
            "protocol": {"const": "plane"},
            "objective": {"not": {"enum": ["geco", "elbo", "beta_elbo", "gqn"]}},
        },
        "objective: protocol 'plane' measures geco, elbo, beta_elbo and gqn only",
    ),
    (
        {"protocol": {"const": "plane"}, "compare": {"minItems": 1}},
        "compare: protocol 'plane' compares no gradients",
    ),
    (
        {
            "protocol": {"const": "bounds"},
            "compare": {"minItems": 1},
            "objective": {"not": {"const": "elbo"}},
        },
        "compare: gradients are of the objective 'elbo'",
    ),
    (
        {
            "protocol": {"const": "plane"},
            "marginal": {"minProperties": 1},
            "model": {"const": "convdraw"},
        },
        "marginal: needs a Gaussian posterior, and ConvDRAW's is a chain",
    ),
    (
        {
            "protocol": {"const": "bounds"},
            "preprocessing": {"const": "none"},
            "pictures": {"minimum": 1},
        },
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
        {"watch": {"const": True}, "model": {"enum": ["convdraw", "burda"]}},
        "watch: takes a model with one encoder and one decoder",
    ),
    (
        {"watch": {"const": True}, "decoder": {"const": "linear"}},
        "watch: takes a nonlinear decoder",
    ),
    (
        {"watch": {"const": True}, "objective": {"const": "geco"}},
        "watch: takes no constraint",
    ),
    ({"watch": {"const": True}, "guide": {"const": "linear"}}, "watch: takes no guide"),
)
