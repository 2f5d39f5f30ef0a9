"""What task constrained_vae refuses among its parameters, and why: see `paper_repro.fits`."""

REFUSES = (
    (
        {
            "prior": {"const": "standard"},
            "prior_options": {"minProperties": 1},
            "model": {"not": {"const": "convdraw"}},
        },
        "prior_options: the standard prior has none",
    ),
    (
        {"model": {"const": "convdraw"}, "prior": {"not": {"const": "standard"}}},
        "prior: ConvDRAW brings its own",
    ),
    (
        {"model": {"const": "convdraw"}, "marginal": {"minProperties": 1}},
        "marginal: needs a Gaussian posterior, and ConvDRAW's is a chain",
    ),
    (
        {
            "constraints": {"anyOf": [{"required": ["FRE"]}, {"required": ["CLA"]}]},
            "classifier_steps": {"const": 0},
        },
        "classifier_steps: 0, but constraints FRE and CLA need a classifier",
    ),
    (
        {"objective": {"not": {"const": "geco"}}, "constraints": {"minProperties": 1}},
        "constraints: objective 'geco' alone takes them",
    ),
    (
        {"objective": {"not": {"const": "geco"}}, "kappa": {"not": {"const": 0}}},
        "kappa: objective 'geco' alone takes constraints",
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
        "likelihood: objective 'geco' constrains the mean alone; nothing trains a variance",
    ),
)
