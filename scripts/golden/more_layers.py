"""Cases of the layers between recurrent ones: RMS norm, gated layers, pooling over time and over
windows of it, batch norm, convolutions."""

import torch
from torch import nn
from torch.nn import functional

from common import Case, Random, leaf
from layers import ACTIVATIONS, draw_parameters, with_gradients


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


def pooling1d(name: str, shape: tuple[int, int, int], kind: str, size: int, stride: int,
              lengths: list[int]) -> Case:
    """Of the whole windows of each row's own steps; y is padded with zeros."""
    random = Random(f"pooling1d {name}")
    x = leaf(random.normal(*shape))
    pool = functional.avg_pool1d if kind == "average" else functional.max_pool1d
    y = torch.zeros(shape[0], (shape[1] - size) // stride + 1, shape[2])
    for row, length in enumerate(lengths):
        if length >= size:
            own = pool(x[row : row + 1, :length].transpose(1, 2), size, stride)
            y[row, : own.shape[2]] = own[0].T
    dy = random.normal(*y.shape)
    (y * dy).sum().backward()
    tensors = {"x": x, "lengths": torch.tensor(lengths, dtype=torch.int32), "y": y, "dy": dy,
               "grad.x": x.grad}
    return Case("pooling1d", name, {"pooling": kind, "poolSize": size, "strides": stride}, tensors)


def conv(name: str, shape: tuple[int, int, int], filters: int | None, kernel: int, dilation: int,
         lengths: list[int], activation: str = "linear") -> Case:
    """Causal by zeros on the left; depthwise without filters. Rows have lengths of their own."""
    random = Random(f"conv {name}")
    groups = shape[-1] if filters is None else 1
    module = nn.Conv1d(shape[-1], filters or groups, kernel, dilation=dilation, groups=groups)
    draw_parameters(module, random, 1.2 / (kernel * shape[-1] / groups) ** 0.5)
    history = (kernel - 1) * dilation

    def apply(x: torch.Tensor) -> torch.Tensor:
        y = ACTIVATIONS[activation](module(functional.pad(x.transpose(1, 2), (history, 0))))
        alive = torch.arange(shape[1])[None, :] < torch.tensor(lengths)[:, None]
        return y.transpose(1, 2) * alive[:, :, None]

    tensors = with_gradients(module, "x", random.normal(*shape), apply, random)
    tensors["lengths"] = torch.tensor(lengths, dtype=torch.int32)
    description = {"filters": filters, "kernelSize": kernel, "dilation": dilation,
                   "activation": activation}
    return Case("conv1d", name, description, tensors)


def batch_norm(name: str, shape: tuple[int, ...], features: int, epsilon: float,
               momentum: float, lengths: list[int] | None) -> Case:
    """Steps of SGD through a linear layer and a batch norm over the rows that there are; then the
    outputs and gradients of inference. momentum is Keras' (PyTorch's is 1 - momentum)."""
    random = Random(f"batch norm {name}")
    linear = nn.Linear(shape[-1], features)
    norm = nn.BatchNorm1d(features, eps=epsilon, momentum=1 - momentum)
    draw_parameters(nn.ModuleList([linear, norm]), random, 0.5, mean=0.3)
    module = nn.Sequential(linear, norm)
    # Copies: what PyTorch updates in place must not reach into the file.
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    x = random.normal(*shape, mean=1.0)
    target = random.normal(*shape[:-1], features)
    alive = torch.ones(shape[:-1], dtype=torch.bool) if lengths is None else (
        torch.arange(shape[1])[None, :] < torch.tensor(lengths)[:, None])
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = functional.mse_loss(module(x[alive]), target[alive])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    after = {name: value.detach().clone() for name, value in module.named_parameters()}
    statistics = {"running_mean": norm.running_mean.clone(), "running_var": norm.running_var.clone()}
    module.eval()
    optimizer.zero_grad()
    given = leaf(x)
    rows = module(given[alive])
    y = torch.zeros(*shape[:-1], features)
    y[alive] = rows
    dy = random.normal(*y.shape)
    (y * dy).sum().backward()
    tensors = {"x": x, "target": target, **{f"before.{k}": v for k, v in before.items()},
               "losses": torch.tensor(losses), **{f"after.{k}": v for k, v in after.items()},
               **statistics, "y": y, "dy": dy, "grad.x": given.grad,
               **{f"grad.{k}": v.grad for k, v in module.named_parameters()}}
    if lengths is not None:
        tensors["lengths"] = torch.tensor(lengths, dtype=torch.int32)
    return Case("batchNorm", name, {"epsilon": epsilon, "momentum": momentum}, tensors)


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
        pooling1d("average-overlapping", (3, 7, 5), "average", 3, 2, [7, 2, 6]),
        pooling1d("max", (4, 6, 17), "max", 2, 2, [3, 6, 0, 1]),
        pooling1d("max-overlapping", (2, 7, 3), "max", 3, 1, [7, 5]),
        conv("dense", (3, 7, 5), 6, 3, 1, [7, 2, 4]),
        conv("dense-dilated", (2, 9, 17), 3, 3, 2, [9, 5], "tanh"),
        conv("dense-one-tap", (2, 3, 4), 5, 1, 1, [3, 3]),
        conv("depthwise", (3, 7, 18), None, 4, 1, [7, 0, 3]),
        batch_norm("rows", (7, 5), 9, 1e-3, 0.99, None),
        batch_norm("ragged", (4, 6, 3), 17, 1e-5, 0.5, [6, 0, 2, 5]),
        conv("depthwise-dilated", (2, 9, 5), None, 3, 3, [6, 9], "silu"),
    ]
