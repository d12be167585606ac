"""Cases of optimisers and gradient clipping on given gradients, from torch.optim."""

import torch

from common import Case, Random, leaf

STEPS = 20
STORED = (1, 5, 20)

SHAPES = {"weight": (5, 7), "wide": (33, 3), "bias": (7,), "scalar": (1,)}

ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}

# Name in the file, optimiser, options by their public names.
OPTIMIZERS = [
    ("sgd", "sgd", {"learningRate": 0.05}),
    ("sgd-momentum", "sgd", {"learningRate": 0.05, "momentum": 0.9}),
    ("sgd-nesterov", "sgd", {"learningRate": 0.05, "momentum": 0.9, "nesterov": True}),
    ("rmsprop", "rmsprop", {"learningRate": 0.01, "rho": 0.99, "epsilon": 1e-8}),
    ("rmsprop-epsilon", "rmsprop", {"learningRate": 0.01, "rho": 0.9, "epsilon": 1e-2}),
    ("rmsprop-momentum", "rmsprop",
     {"learningRate": 0.01, "rho": 0.99, "epsilon": 1e-8, "momentum": 0.9}),
    ("adam", "adam", {"learningRate": 0.01, **ADAM}),
    ("adam-epsilon", "adam", {"learningRate": 0.01, **ADAM, "epsilon": 1e-2}),
    ("adam-betas", "adam", {"learningRate": 0.003, "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-8}),
    ("adamw", "adamw", {"learningRate": 0.01, **ADAM, "weightDecay": 0.1}),
    ("adamw-no-decay", "adamw", {"learningRate": 0.01, **ADAM, "weightDecay": 0.0}),
    ("sgd-clip-norm", "sgd", {"learningRate": 0.05, "momentum": 0.9, "clipNorm": 1.0}),
    ("adamw-clip-norm", "adamw",
     {"learningRate": 0.01, **ADAM, "weightDecay": 0.1, "clipNorm": 1.0}),
    ("sgd-clip-value", "sgd", {"learningRate": 0.05, "clipValue": 0.5}),
]


def make_optimizer(kind: str, options: dict, params: dict[str, torch.Tensor]):
    rate = options["learningRate"]
    if kind == "sgd":
        return torch.optim.SGD(params.values(), lr=rate, momentum=options.get("momentum", 0.0),
                               nesterov=options.get("nesterov", False))
    if kind == "rmsprop":
        return torch.optim.RMSprop(params.values(), lr=rate, alpha=options["rho"],
                                   eps=options["epsilon"], momentum=options.get("momentum", 0.0))
    betas = {"betas": (options["beta1"], options["beta2"]), "eps": options["epsilon"]}
    if kind == "adam":
        return torch.optim.Adam(params.values(), lr=rate, **betas)
    decay = options["weightDecay"]
    groups = [
        {"params": [p for p in params.values() if decays(p)], "weight_decay": decay},
        {"params": [p for p in params.values() if not decays(p)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, **betas)


def decays(parameter: torch.Tensor) -> bool:
    """Matrices decay; parameters of one dimension (biases, norms) do not."""
    return parameter.dim() > 1


def draw_gradients(random: Random) -> dict[str, torch.Tensor]:
    """[STEPS, ...] each: a drift and noise of many magnitudes, and elements that are always 0."""
    gradients = {}
    for name, shape in SHAPES.items():
        scale = 10.0 ** random.uniform(*shape, low=-3.0, high=0.5)
        drift = random.normal(*shape)
        values = (drift + random.normal(STEPS, *shape)) * scale
        values.view(STEPS, -1)[:, 0] = 0.0 if name != "scalar" else values.view(STEPS, -1)[:, 0]
        gradients[name] = values
    return gradients


def clip(params: dict[str, torch.Tensor], options: dict) -> None:
    if "clipNorm" in options:
        torch.nn.utils.clip_grad_norm_(params.values(), options["clipNorm"])
    if "clipValue" in options:
        torch.nn.utils.clip_grad_value_(params.values(), options["clipValue"])


def optimizer_case(name: str, kind: str, options: dict) -> Case:
    random = Random(f"optimizer {name}")
    params = {key: leaf(random.normal(*shape)) for key, shape in SHAPES.items()}
    gradients = draw_gradients(random)
    tensors = {f"initial.{key}": value.detach().clone() for key, value in params.items()}
    tensors |= {f"grad.{key}": value for key, value in gradients.items()}
    optimizer = make_optimizer(kind, options, params)
    for step in range(1, STEPS + 1):
        for key, parameter in params.items():
            parameter.grad = gradients[key][step - 1].clone()
        clip(params, options)
        optimizer.step()
        if step in STORED:
            tensors |= {f"after{step}.{key}": value.detach().clone()
                        for key, value in params.items()}
    description = {"optimizer": kind, "options": options, "steps": STEPS, "stored": list(STORED)}
    if kind == "adamw":
        description["decayed"] = [key for key, value in params.items() if decays(value)]
    return Case("optimizer", name, description, tensors)


def clip_case(name: str, options: dict, scale: float) -> Case:
    random = Random(f"clip {name}")
    params = {key: leaf(torch.zeros(shape)) for key, shape in SHAPES.items()}
    tensors = {}
    for key, parameter in params.items():
        parameter.grad = random.normal(*parameter.shape, scale=scale)
        tensors[f"grad.{key}"] = parameter.grad.clone()
    tensors["norm"] = torch.nn.utils.get_total_norm([p.grad for p in params.values()])
    clip(params, options)
    tensors |= {f"clipped.{key}": value.grad for key, value in params.items()}
    return Case("clipping", name, {"options": options}, tensors)


def build() -> list[Case]:
    cases = [optimizer_case(*row) for row in OPTIMIZERS]
    cases += [
        clip_case("norm-above", {"clipNorm": 1.0}, 1.0),
        clip_case("norm-below", {"clipNorm": 5.0}, 0.1),
        clip_case("norm-huge", {"clipNorm": 0.25}, 1e6),
        clip_case("value", {"clipValue": 0.5}, 1.0),
        clip_case("value-below", {"clipValue": 5.0}, 0.5),
    ]
    return cases
