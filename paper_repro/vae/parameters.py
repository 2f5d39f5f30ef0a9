"""The parameters of task vae: each with its rule, see `paper_repro.parameters`; those of what is
measured stand in the protocols."""

PARAMS = {
    "dataset": {"type": "string"},
    "preprocessing": {"enum": ["unit", "dequantised", "binarised", "none"], "default": "unit"},
    "model": {"type": "string", "default": "mlp"},  # networks of encoder and decoder
    "decoder": {"type": "string", "default": ""},  # "": as the encoder
    "sizes": {"type": "object", "default": {}},  # what differs from the networks' SIZES
    "centre": {"type": "boolean", "default": False},  # encode x - mean image, add it when decoding
    # of one layer or step; ConvDRAW chains them
    "latent": {"enum": ["gaussian", "bernoulli", "categorical"], "default": "gaussian"},
    "layers": {"enum": [1, 2], "default": 1},  # stochastic layers
    "latent_options": {"type": "object", "default": {}},
    "dim": {"type": "integer", "minimum": 1, "default": 1},  # of z; ConvDRAW's is in its sizes
    "prior": {"enum": ["standard", "flow"], "default": "standard"},
    "prior_options": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "layers": {"type": "integer", "minimum": 1},
            "hidden": {"type": "integer", "minimum": 1},
            "depth": {"type": "integer", "minimum": 1},
        },
        "default": {},
    },
    "likelihood": {"type": "string"},
    "likelihood_options": {"type": "object", "default": {}},
    "variance_form": {"enum": ["L0", "EXP", "EXP2", "SQ"], "default": "EXP"},  # linear decoders
    "guide": {"enum": ["", "linear"], "default": ""},  # a second decoder, for `annealed`
    "objective": {"type": "string"},
    "objective_options": {"type": "object", "default": {}},
    # RMS error per pixel of constraint RE; 0: no RE
    "kappa": {"type": "number", "minimum": 0, "default": 0},
    # thresholds of FRE, CLA and PNCC, by name
    "constraints": {
        "type": "object",
        "propertyNames": {"enum": ["FRE", "CLA", "PNCC"]},
        "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
        "default": {},
    },
    # of PNCC
    "patch": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "patch": {"type": "integer", "minimum": 2},
            "stride": {"type": "integer", "minimum": 1},
            "floor": {"type": "number", "exclusiveMinimum": 0},
        },
        "default": {},
    },
    "classifier_steps": {"type": "integer", "minimum": 0, "default": 0},  # of FRE and CLA's network
    "estimator": {"type": "string"},
    "estimator_options": {"type": "object", "default": {}},
    "k": {"type": "integer", "minimum": 1, "default": 1},
    "steps": {"type": "integer", "minimum": 1},
    "batch_size": {"type": "integer", "minimum": 2, "default": 128},
    "order": {"enum": ["epochs", "fixed"], "default": "epochs"},  # of minibatches: new every epoch
    "reduction": {"enum": ["mean", "sum"], "default": "mean"},  # of the loss over a minibatch
    "optimizer": {"enum": ["adam", "adam_burda"], "default": "adam"},
    "eps": {"type": "number", "exclusiveMinimum": 0, "default": 1e-8},  # of Adam
    "lr": {"type": "number", "exclusiveMinimum": 0, "schedule": True, "default": 1e-3},
    "clip": {"type": "number", "minimum": 0, "default": 0},  # norm of each part's gradient; 0: none
    # where a learned variance starts
    "gamma": {"type": "number", "exclusiveMinimum": 0, "default": 1},
    # factors on the learning rate by part, such as likelihood; 0: stays where it starts
    "rates": {
        "type": "object",
        "propertyNames": {"enum": ["encoder", "decoder", "likelihood", "prior", "guide"]},
        "additionalProperties": {"type": "number", "minimum": 0},
        "default": {},
    },
    "watch": {"type": "boolean", "default": False},  # log gradient norms of every step
    "protocol": {
        "enum": ["bounds", "importance", "plane"],
        "default": "bounds",
    },  # what is measured
    # evaluations before the last one, as fractions of the steps
    "marks": {
        "type": "array",
        "items": {"type": "number", "minimum": 0, "maximum": 1},
        "default": [],
    },
}
RUN_INPUTS = ("gamma", "kappa")  # what another run may settle, see paper_repro.run_inputs
POSTERIOR = (
    {"model": {"convdraw": "convdraw"}},
    {"layers": {2: "two_layer"}},
    {"latent": {"gaussian": "gaussian", "bernoulli": "bernoulli", "categorical": "categorical"}},
)
