"""Cases of cells with layer normalisation inside, unrolled step by step over PyTorch's layer_norm and
differentiated by autograd. One layer, one direction, ragged rows.

"gates" normalises the pre-activation of each gate, before the biases; "ba" (Ba, Kiros and Hinton,
arXiv:1607.06450) each product by itself, all gates of it at once, and an LSTM's new cell state.
"""

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from by_rows import run_by_rows
from common import Case, Random

GATES = {"elman": 1, "lstm": 4, "gru": 3}
STATES = {"elman": ("h",), "lstm": ("h", "c"), "gru": ("h",)}
EPSILON = 1e-5


def vector_sizes(cell: str, norm: str, units: int, bias: bool) -> dict[str, int]:
    """What a normalised cell learns besides."""
    gates = GATES[cell] * units
    if norm == "gates":
        return {"weight_ln": gates} | ({"weight_ln_hh": units} if cell == "gru" else {})
    sizes = {"weight_ln_ih": gates, "weight_ln_hh": gates}
    if cell == "lstm":
        sizes |= {"weight_ln_c": units} | ({"bias_ln_c": units} if bias else {})
    return sizes


def normal(a: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return layer_norm(a, (a.shape[-1],), weight, bias, EPSILON)


def joined_gates(norm: str, p: dict[str, Tensor], x: Tensor, h: Tensor) -> Tensor:
    """Pre-activations of cells whose products are only added up."""
    a, u, biases = p["weight_ih"] @ x, p["weight_hh"] @ h, p["bias_ih"] + p["bias_hh"]
    if norm == "ba":
        return normal(a, p["weight_ln_ih"]) + normal(u, p["weight_ln_hh"]) + biases
    units = h.shape[0]
    parts = [normal(part, weight) for part, weight
             in zip((a + u).split(units), p["weight_ln"].split(units))]
    return torch.cat(parts) + biases


def gru_step(norm: str, p: dict[str, Tensor], x: Tensor, h: Tensor) -> Tensor:
    units = h.shape[0]
    cut = [2 * units, units]  # r and z; n, whose products r keeps apart
    (a, a_n), (u, u_n) = ((p["weight_ih"] @ x).split(cut), (p["weight_hh"] @ h).split(cut))
    biases, b_n = (p["bias_ih"] + p["bias_hh"])[: 2 * units], p["bias_ih"][2 * units :]
    if norm == "ba":
        (w_x, w_xn), (w_h, w_hn) = p["weight_ln_ih"].split(cut), p["weight_ln_hh"].split(cut)
        r, z = torch.sigmoid(normal(a, w_x) + normal(u, w_h) + biases).chunk(2)
    else:
        w_r, w_z, w_xn = p["weight_ln"].chunk(3)
        w_hn = p["weight_ln_hh"]
        s_r, s_z = (a + u).chunk(2)
        r, z = torch.sigmoid(torch.cat([normal(s_r, w_r), normal(s_z, w_z)]) + biases).chunk(2)
    n = torch.tanh(normal(a_n, w_xn) + b_n
                   + r * (normal(u_n, w_hn) + p["bias_hh"][2 * units :]))
    return (1 - z) * n + z * h


def step(cell: str, norm: str, p: dict[str, Tensor], x: Tensor,
         before: dict[str, Tensor]) -> dict[str, Tensor]:
    h = before["h"]
    if cell == "gru":
        return {"h": gru_step(norm, p, x, h)}
    gates = joined_gates(norm, p, x, h)
    if cell == "elman":
        return {"h": torch.tanh(gates)}
    i, f, g, o = gates.chunk(4)
    c = torch.sigmoid(f) * before["c"] + torch.sigmoid(i) * torch.tanh(g)
    shown = normal(c, p["weight_ln_c"], p.get("bias_ln_c")) if norm == "ba" else c
    return {"h": torch.sigmoid(o) * torch.tanh(shown), "c": c}


def run(cell: str, norm: str, values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Outputs, final states and the gradients of all that is given."""
    def next_states(given: dict[str, Tensor], x: Tensor,
                    before: dict[str, Tensor]) -> dict[str, Tensor]:
        parameters = {key[:-3]: value for key, value in given.items() if key.endswith("_l0")}
        zero = torch.zeros(parameters["weight_ih"].shape[0])
        return step(cell, norm, {"bias_ih": zero, "bias_hh": zero} | parameters, x, before)

    return run_by_rows(values, STATES[cell], next_states)


def build_case(cell: str, norm: str, bias: bool) -> Case:
    name = f"{cell}-{norm}" + ("" if bias else "-nobias")
    random = Random(f"normalized cell {name}")
    batch, steps, inputs, units = 4, 6, 5, 11
    rows, bound = GATES[cell] * units, 1.2 / units ** 0.5
    values = {
        "x": random.normal(batch, steps, inputs),
        "lengths": torch.tensor([6, 4, 0, 5], dtype=torch.int32),
        "weight_ih_l0": random.uniform(rows, inputs, low=-bound, high=bound),
        "weight_hh_l0": random.uniform(rows, units, low=-bound, high=bound),
        "dy": random.normal(batch, steps, units),
    }
    for vector, size in vector_sizes(cell, norm, units, bias).items():
        low, high = (0.5, 1.5) if vector.startswith("weight") else (-bound, bound)
        values[f"{vector}_l0"] = random.uniform(size, low=low, high=high)
    for vector in ("bias_ih", "bias_hh") if bias else ():
        values[f"{vector}_l0"] = random.uniform(rows, low=-bound, high=bound)
    for state in STATES[cell]:
        values[f"{state}0"] = random.normal(1, batch, units, scale=0.5)
        values[f"d{state}_n"] = random.normal(1, batch, units)
    description = {"cell": cell, "layerNorm": norm, "useBias": bias,
                   "states": list(STATES[cell]), "inputs": inputs, "units": units}
    return Case("cellNorm", name, description, values | run(cell, norm, values))


def build() -> list[Case]:
    cases = [build_case(cell, norm, True) for cell in GATES for norm in ("gates", "ba")]
    return cases + [build_case("lstm", "ba", False)]
