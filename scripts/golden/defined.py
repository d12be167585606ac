"""Cases of cells that no layer of PyTorch has, unrolled step by step and differentiated by autograd:
what users state with defineCell. One layer, one direction, ragged rows.
"""

from typing import Callable

import torch
from torch import Tensor
from torch.nn.functional import softplus

from by_rows import run_by_rows
from common import Case, Random

Gates = tuple[Tensor, ...]
# (input parts, recurrent parts, states before, vectors) -> states after
Step = Callable[[Gates, Gates, dict[str, Tensor], dict[str, Tensor]], dict[str, Tensor]]


def minimal_gated_unit(x: Gates, r: Gates, before: dict, _vectors: dict) -> dict:
    """Zhou et al. 2016, the forget gate applied after the product: gates f, n."""
    forget = torch.sigmoid(x[0] + r[0])
    candidate = torch.tanh(x[1] + forget * r[1])
    return {"h": (1 - forget) * before["h"] + forget * candidate}


def peephole_lstm(x: Gates, r: Gates, before: dict, vectors: dict) -> dict:
    """Gers and Schmidhuber 2000: gates i, f, g, o; vectors pi, pf, po."""
    i, f, g, o = (a + b for a, b in zip(x, r))
    c = (torch.sigmoid(f + vectors["pf"] * before["c"]) * before["c"]
         + torch.sigmoid(i + vectors["pi"] * before["c"]) * torch.tanh(g))
    return {"h": torch.sigmoid(o + vectors["po"] * c) * torch.tanh(c), "c": c}


def mixed(x: Gates, r: Gates, before: dict, vectors: dict) -> dict:
    """Every operation once: gates a, b, d; states h, c, m; vectors p, q."""
    a, b = x[0] + r[0], x[1] + r[1]
    share = torch.sigmoid(a)
    inner = torch.tanh(x[2] * vectors["p"] + share * r[2])
    c = share * before["c"] + (1 - share) * torch.clamp(b, -0.75, 0.75)
    m = torch.maximum(0.9 * before["m"], torch.abs(inner)) - 0.1 * torch.relu(b)
    scale = torch.sqrt(1 + c.square()) + torch.log(1.5 + m.square())
    h = torch.minimum(inner, softplus(-b)) / scale + vectors["q"] * torch.exp(-m.square())
    return {"h": h, "c": c, "m": m}


CELLS: dict[str, tuple[Step, int, tuple[str, ...], tuple[str, ...]]] = {
    "minimal-gated-unit": (minimal_gated_unit, 2, ("h",), ()),
    "peephole-lstm": (peephole_lstm, 4, ("h", "c"), ("pi", "pf", "po")),
    "mixed": (mixed, 3, ("h", "c", "m"), ("p", "q")),
}


def run(name: str, values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Outputs, final states and the gradients of all that is given."""
    step, _gates, states, vectors = CELLS[name]

    def next_states(given: dict[str, Tensor], x: Tensor,
                    before: dict[str, Tensor]) -> dict[str, Tensor]:
        inputs = given["weight_ih_l0"] @ x + given["bias_ih_l0"]
        recurrent = given["weight_hh_l0"] @ before["h"] + given["bias_hh_l0"]
        units = before["h"].shape[0]
        return step(inputs.split(units), recurrent.split(units), before,
                    {vector: given[f"{vector}_l0"] for vector in vectors})

    return run_by_rows(values, states, next_states)


def build_case(name: str) -> Case:
    random = Random(f"defined cell {name}")
    _step, gates, states, vectors = CELLS[name]
    batch, steps, inputs, units = 4, 6, 5, 19
    bound = 1.2 / units ** 0.5
    values = {
        "x": random.normal(batch, steps, inputs),
        "lengths": torch.tensor([6, 4, 0, 5], dtype=torch.int32),
        "weight_ih_l0": random.uniform(gates * units, inputs, low=-bound, high=bound),
        "weight_hh_l0": random.uniform(gates * units, units, low=-bound, high=bound),
        "bias_ih_l0": random.uniform(gates * units, low=-bound, high=bound),
        "bias_hh_l0": random.uniform(gates * units, low=-bound, high=bound),
        "dy": random.normal(batch, steps, units),
    }
    for vector in vectors:
        values[f"{vector}_l0"] = random.uniform(units, low=-1.0, high=1.0)
    for state in states:
        values[f"{state}0"] = random.normal(1, batch, units, scale=0.5)
        values[f"d{state}_n"] = random.normal(1, batch, units)
    description = {"states": list(states), "inputs": inputs, "units": units}
    return Case("definedCell", name, description, values | run(name, values))


def build() -> list[Case]:
    return [build_case(name) for name in CELLS]
