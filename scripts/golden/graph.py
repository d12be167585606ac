"""A graph: two inputs, two outputs, a shared LSTM, a residual connection."""

import torch
from torch import nn

from common import Case, Random, leaf
from layers import draw_parameters


class TwoReaders(nn.Module):
    """a, b [B, T, I] to a trend [B, 1] and labels [B, T, C]."""

    def __init__(self, inputs: int, units: int, classes: int):
        super().__init__()
        self.reader = nn.LSTM(inputs, units, batch_first=True)
        self.mix = nn.Linear(units, units)
        self.trend = nn.Linear(2 * units, 1)
        self.label = nn.Linear(units, classes)

    def forward(self, a: torch.Tensor, b: torch.Tensor):
        read_a, read_b = self.reader(a)[0], self.reader(b)[0]
        both = read_a * read_b
        residual = both + torch.tanh(self.mix(both)) + read_a
        last = torch.cat([residual[:, -1], read_b[:, -1]], dim=-1)
        return self.trend(last), self.label(residual)


def two_readers(name: str, batch: int, steps: int) -> Case:
    random = Random(f"graph {name}")
    inputs, units, classes = 5, 9, 4
    module = TwoReaders(inputs, units, classes)
    draw_parameters(module, random, 0.5)
    a, b = (leaf(random.normal(batch, steps, inputs)) for _ in range(2))
    trend, label = module(a, b)
    dtrend, dlabel = random.normal(*trend.shape), random.normal(*label.shape)
    ((trend * dtrend).sum() + (label * dlabel).sum()).backward()
    tensors = {"a": a, "b": b, "trend": trend, "label": label, "dtrend": dtrend, "dlabel": dlabel,
               "grad.a": a.grad, "grad.b": b.grad}
    for key, parameter in module.named_parameters():
        tensors[f"param.{key}"] = parameter
        tensors[f"grad.param.{key}"] = parameter.grad
    return Case("graph", name, {"units": units, "classes": classes}, tensors)


def build() -> list[Case]:
    return [two_readers("two-readers", batch=3, steps=6)]
