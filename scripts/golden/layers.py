"""Cases of the layers that do not recur: embedding, dense, layer norm."""

import torch
from torch import nn
from torch.nn import functional

from common import Case, Random, leaf

ACTIVATIONS = {
    "linear": lambda a: a,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "softmax": lambda a: torch.softmax(a, dim=-1),
    "gelu": lambda a: functional.gelu(a, approximate="none"),
    "silu": functional.silu,
}


def with_gradients(module: nn.Module, name: str, value: torch.Tensor, apply,
                   random: Random) -> dict[str, torch.Tensor]:
    """The input, parameters, y, an upstream dy, and every gradient of sum(y * dy)."""
    params = dict(module.named_parameters())
    gradients = dict(params)
    if value.is_floating_point():
        value = gradients[name] = leaf(value)
    y = apply(value)
    dy = random.normal(*y.shape)
    (y * dy).sum().backward()
    return {name: value, **params, "y": y, "dy": dy} | {
        f"grad.{key}": tensor.grad for key, tensor in gradients.items()}


def draw_parameters(module: nn.Module, random: Random, scale: float, mean: float = 0.0) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(random.normal(*parameter.shape, scale=scale, mean=mean))


def embedding(name: str, shape: tuple[int, ...], rows: int, units: int) -> Case:
    """Ids are drawn from half of the table, so that ids repeat and rows stay untouched."""
    random = Random(f"embedding {name}")
    module = nn.Embedding(rows, units)
    draw_parameters(module, random, 1.0)
    used = torch.tensor(random.shuffled(list(range(rows)))[: max(1, rows // 2)], dtype=torch.int32)
    ids = used[random.integers(*shape, high=len(used)).long()]
    tensors = with_gradients(module, "ids", ids, module, random)
    return Case("embedding", name, {"inputDim": rows, "units": units}, tensors)


def dense(name: str, activation: str, shape: tuple[int, ...], units: int, bias: bool) -> Case:
    random = Random(f"dense {name}")
    module = nn.Linear(shape[-1], units, bias=bias)
    draw_parameters(module, random, 1.5 / shape[-1] ** 0.5)

    def apply(x: torch.Tensor) -> torch.Tensor:
        a = module(x)
        if activation == "relu" and a.abs().min() < 1e-4:
            raise ValueError(f"{name}: a pre-activation lies too close to relu's corner")
        return ACTIVATIONS[activation](a)

    description = {"units": units, "activation": activation, "useBias": bias}
    tensors = with_gradients(module, "x", random.normal(*shape), apply, random)
    return Case("dense", name, description, tensors)


def layer_norm(name: str, shape: tuple[int, ...], mean: float, scale: float) -> Case:
    random = Random(f"layer norm {name}")
    module = nn.LayerNorm(shape[-1], eps=1e-5)
    draw_parameters(module, random, 0.5, mean=0.5)
    x = random.normal(*shape, mean=mean, scale=scale)
    tensors = with_gradients(module, "x", x, module, random)
    return Case("layerNorm", name, {"epsilon": 1e-5}, tensors)


def build() -> list[Case]:
    cases = [
        embedding("ids-2d", (3, 7), rows=11, units=5),
        embedding("ids-1d", (9,), rows=4, units=17),
        embedding("one-unit", (2, 3), rows=3, units=1),
        embedding("wide", (5, 6), rows=40, units=33),
    ]
    shapes_2d = [((5, 7), 9), ((1, 1), 3), ((4, 33), 17)]
    shapes_3d = [((2, 4, 6), 5), ((3, 1, 17), 33), ((1, 9, 1), 18), ((5, 3, 16), 2)]
    for index, activation in enumerate(ACTIVATIONS):
        for kind, shapes in (("2d", shapes_2d), ("3d", shapes_3d)):
            shape, units = shapes[index % len(shapes)]
            cases.append(dense(f"{activation}-{kind}", activation, shape, units, True))
    cases += [
        dense("linear-no-bias", "linear", (4, 19), 31, False),
        dense("gelu-no-bias", "gelu", (2, 3, 5), 16, False),
        dense("one-unit", "linear", (6, 13), 1, True),
        layer_norm("rows", (6, 17), mean=0.0, scale=1.0),
        layer_norm("steps", (2, 5, 33), mean=0.5, scale=2.0),
        layer_norm("two-features", (4, 2), mean=0.0, scale=1.0),
        layer_norm("one-row", (1, 16), mean=-1.0, scale=0.3),
        layer_norm("offset", (3, 3, 24), mean=8.0, scale=1.0),
    ]
    return cases
