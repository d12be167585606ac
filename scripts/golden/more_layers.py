"""Cases of the layers between recurrent ones: RMS norm, gated layers, pooling over time."""

import torch
from torch import nn
from torch.nn import functional

from common import Case, Random, leaf
from layers import draw_parameters, with_gradients


def rms_norm(name: str, shape: tuple[int, ...], epsilon: float) -> Case:
    random = Random(f"rms norm {name}")
    module = nn.RMSNorm(shape[-1], eps=epsilon)
    draw_parameters(module, random, 0.5, mean=0.5)
    x = random.normal(*shape, mean=0.3, scale=1.5)
    return Case("rmsNorm", name, {"epsilon": epsilon}, with_gradients(module, "x", x, module, random))


def glu(name: str, shape: tuple[int, ...], units: int | None, bias: bool) -> Case:
    """A linear layer and PyTorch's GLU, or the latter alone."""
    random = Random(f"glu {name}")
    module = nn.GLU() if units is None else nn.Linear(shape[-1], 2 * units, bias=bias)
    draw_parameters(module, random, 1.5 / shape[-1] ** 0.5)
    apply = module if units is None else lambda x: functional.glu(module(x), dim=-1)
    tensors = with_gradients(module, "x", random.normal(*shape), apply, random)
    return Case("glu", name, {"units": units, "useBias": bias}, tensors)


class Highway(nn.Module):
    """Srivastava, Greff and Schmidhuber 2015, of two linear layers."""

    def __init__(self, features: int, activation):
        super().__init__()
        self.h, self.t = nn.Linear(features, features), nn.Linear(features, features)
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        t = torch.sigmoid(self.t(x))
        return t * self.activation(self.h(x)) + (1 - t) * x


def highway(name: str, shape: tuple[int, ...], activation: str) -> Case:
    random = Random(f"highway {name}")
    module = Highway(shape[-1], {"tanh": torch.tanh, "gelu": functional.gelu}[activation])
    draw_parameters(module, random, 1.2 / shape[-1] ** 0.5)
    tensors = with_gradients(module, "x", random.normal(*shape), module, random)
    return Case("highway", name, {"activation": activation}, tensors)


def pooling(name: str, shape: tuple[int, int, int], kind: str, lengths: list[int]) -> Case:
    """Of each row's own steps; x holds numbers beyond them, too, which must not be read."""
    random = Random(f"pooling {name}")
    x = leaf(random.normal(*shape))
    rows = [x[b, :length] for b, length in enumerate(lengths)]
    pool = (lambda row: row.mean(0)) if kind == "average" else (lambda row: row.amax(0))
    y = torch.stack([pool(row) if len(row) else torch.zeros(shape[-1]) for row in rows])
    dy = random.normal(*y.shape)
    (y * dy).sum().backward()
    tensors = {"x": x, "lengths": torch.tensor(lengths, dtype=torch.int32), "y": y, "dy": dy,
               "grad.x": x.grad}
    return Case("pooling", name, {"pooling": kind}, tensors)


def build() -> list[Case]:
    return [
        rms_norm("rows", (5, 17), epsilon=1e-6),
        rms_norm("steps", (2, 3, 33), epsilon=1e-3),
        glu("rows", (4, 7), units=9, bias=True),
        glu("steps-no-bias", (2, 3, 16), units=17, bias=False),
        glu("halves", (3, 10), units=None, bias=False),
        highway("rows", (5, 16), "tanh"),
        highway("steps", (2, 4, 9), "gelu"),
        pooling("average", (4, 5, 17), "average", [3, 5, 0, 1]),
        pooling("average-full", (2, 3, 4), "average", [3, 3]),
        pooling("max", (4, 5, 17), "max", [3, 5, 0, 1]),
    ]
