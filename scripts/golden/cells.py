"""Recurrent layers unrolled by hand, one step at a time, in any floating-point type.

They give the cases that torch.nn lacks (reset-before GRU, merge modes, reading backwards, last-step
output), and they check torch.nn's own results from a second side.
"""

from typing import Callable

import torch

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3, "gru_reset_before": 3,
         "indrnn_tanh": 1, "indrnn_relu": 1, "lstm_clipped": 4, "lstm_peephole": 4,
         "lstm_coupled": 3, "lstm_coupled_peephole": 3}
PEEPHOLES = {"lstm_peephole": 3, "lstm_coupled_peephole": 2}

States = tuple[torch.Tensor, ...]


def state_names(cell: str) -> tuple[str, ...]:
    return ("h", "c") if cell.startswith("lstm") else ("h",)


def state_widths(cell: str, units: int, projection: int | None) -> tuple[int, ...]:
    """Values of each state; only h is projected."""
    return (projection or units, units)[:len(state_names(cell))]


def param_shapes(
    cell: str, inputs: int, units: int, layers: int, bidirectional: bool, bias: bool,
    merge: str = "concat", projection: int | None = None,
) -> dict[str, tuple[int, ...]]:
    """Names and shapes in PyTorch's order."""
    rows = GATES[cell] * units
    hidden = projection or units
    features = 2 * hidden if bidirectional and merge == "concat" else hidden
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(layers):
        for suffix in ("", "_reverse") if bidirectional else ("",):
            shapes[f"weight_ih_l{layer}{suffix}"] = (rows, inputs if layer == 0 else features)
            shapes[f"weight_hh_l{layer}{suffix}"] = (
                (units,) if cell.startswith("indrnn") else (rows, hidden))
            if cell in PEEPHOLES:
                shapes[f"weight_ch_l{layer}{suffix}"] = (PEEPHOLES[cell] * units,)
            if bias:
                shapes[f"bias_ih_l{layer}{suffix}"] = (rows,)
                shapes[f"bias_hh_l{layer}{suffix}"] = (rows,)
            if projection:
                shapes[f"weight_hr_l{layer}{suffix}"] = (projection, units)
    return shapes


class Weights:
    """The parameters of one layer and direction."""

    def __init__(self, params: dict[str, torch.Tensor], suffix: str,
                 cell_clip: float | None = None):
        self.ih = params[f"weight_ih_{suffix}"]
        self.hh = params[f"weight_hh_{suffix}"]
        self.ch = params.get(f"weight_ch_{suffix}")
        self.hr = params.get(f"weight_hr_{suffix}")
        self.cell_clip = cell_clip
        zero = self.ih.new_zeros(self.ih.shape[0])
        self.bias_ih = params.get(f"bias_ih_{suffix}", zero)
        self.bias_hh = params.get(f"bias_hh_{suffix}", zero)

    def of_input(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.ih.T + self.bias_ih

    def of_state(self, h: torch.Tensor) -> torch.Tensor:
        return h @ self.hh.T + self.bias_hh


def step(cell: str, weights: Weights, x: torch.Tensor, states: States,
         observe: Callable[[torch.Tensor], None]) -> States:
    """One step of B rows; `observe` sees how far values that have a corner are from it."""
    h = states[0]
    if cell.startswith("indrnn"):
        a = weights.of_input(x) + weights.hh * h + weights.bias_hh
        observe(a)
        return (torch.tanh(a) if cell == "indrnn_tanh" else torch.relu(a),)
    a, u = weights.of_input(x), weights.of_state(h)
    if cell in ("rnn_tanh", "rnn_relu"):
        observe(a + u)
        return (torch.tanh(a + u) if cell == "rnn_tanh" else torch.relu(a + u),)
    if cell == "lstm":
        i, f, g, o = (a + u).chunk(4, dim=1)
        c = torch.sigmoid(f) * states[1] + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
    if cell.startswith("lstm"):
        return lstm_variant(weights, a + u, states[1], observe)
    a_r, a_z, a_n = a.chunk(3, dim=1)
    u_r, u_z, u_n = u.chunk(3, dim=1)
    r, z = torch.sigmoid(a_r + u_r), torch.sigmoid(a_z + u_z)
    if cell == "gru":
        n = torch.tanh(a_n + r * u_n)
    else:
        n = torch.tanh(a_n + weights.of_state(r * h).chunk(3, dim=1)[2])
    return ((1 - z) * n + z * h,)


def lstm_variant(weights: Weights, a: torch.Tensor, c: torch.Tensor,
                 observe: Callable[[torch.Tensor], None]) -> States:
    """LSTM with peepholes, coupled gates and a bound, as far as the weights have them."""
    units = c.shape[1]
    gates = list(a.chunk(a.shape[1] // units, dim=1))
    peepholes = [] if weights.ch is None else list(weights.ch.chunk(len(gates) - 1))
    a_o, a_g = gates.pop(), gates.pop()
    p_o = peepholes.pop() if peepholes else 0.0
    seen = [torch.sigmoid(gate + p * c) for gate, p in zip(gates, peepholes or [0.0, 0.0])]
    f = seen[-1]
    i = seen[0] if len(seen) == 2 else 1 - f
    c = f * c + i * torch.tanh(a_g)
    if weights.cell_clip is not None:
        observe(c.abs() - weights.cell_clip)
        c = c.clamp(-weights.cell_clip, weights.cell_clip)
    return torch.sigmoid(a_o + p_o * c) * torch.tanh(c), c


def run_direction(cell: str, weights: Weights, x: torch.Tensor, lengths: torch.Tensor,
                  states: States, reverse: bool, observe) -> tuple[torch.Tensor, States]:
    """x [B, T, I] to y [B, T, H or P] (by time, zero beyond a row's length) and the final states.

    A row's states stand still where it has no step, so the reverse direction starts at the row's
    own last step, and a row of no steps ends with its initial states.
    """
    steps = x.shape[1]
    outputs: list[torch.Tensor] = [torch.empty(0)] * steps
    for t in reversed(range(steps)) if reverse else range(steps):
        valid = (t < lengths).unsqueeze(1)
        after = step(cell, weights, x[:, t], states, observe)
        if weights.hr is not None:
            after = (after[0] @ weights.hr.T, *after[1:])
        states = tuple(torch.where(valid, new, old) for new, old in zip(after, states))
        outputs[t] = torch.where(valid, states[0], torch.zeros_like(states[0]))
    return torch.stack(outputs, dim=1), states


def reversed_rows(x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Every row of [B, T, ...] turned round within its own length; the rest stays."""
    time = torch.arange(x.shape[1]).unsqueeze(0)
    length = lengths.long().unsqueeze(1)
    index = torch.where(time < length, length - 1 - time, time)
    return x[torch.arange(x.shape[0]).unsqueeze(1), index]


def merged(merge: str, forward: torch.Tensor, reverse: torch.Tensor) -> torch.Tensor:
    if merge == "concat":
        return torch.cat([forward, reverse], dim=-1)
    if merge == "sum":
        return forward + reverse
    if merge == "mul":
        return forward * reverse
    return (forward + reverse) / 2


def last_steps(y: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """[B, T, H] to each row's last valid step [B, H]; zeros for a row of no steps."""
    rows = torch.arange(y.shape[0])
    chosen = y[rows, (lengths.long() - 1).clamp(min=0)]
    return torch.where((lengths > 0).unsqueeze(1), chosen, torch.zeros_like(chosen))


def run(description: dict, params: dict[str, torch.Tensor], x: torch.Tensor, lengths: torch.Tensor,
        initial: States, observe=lambda a: None) -> tuple[torch.Tensor, States]:
    """The whole stack: the output and the final states, each [D*L, B, H], a projected h [D*L, B, P]."""
    cell, bidirectional = description["cell"], description["bidirectional"]
    directions = 2 if bidirectional else 1
    value = reversed_rows(x, lengths) if description["goBackwards"] else x
    finals: list[States] = []
    for layer in range(description["layers"]):
        outputs = []
        for direction in range(directions):
            weights = Weights(params, f"l{layer}" + ("_reverse" if direction else ""),
                              description.get("cellClip"))
            slot = layer * directions + direction
            y, states = run_direction(cell, weights, value, lengths,
                                      tuple(state[slot] for state in initial), direction == 1,
                                      observe)
            outputs.append(y)
            finals.append(states)
        value = merged(description["merge"], *outputs) if bidirectional else outputs[0]
    if not description["returnSequences"]:
        # What each direction put out last: the reverse one at the first step.
        ends = [last_steps(outputs[0], lengths)] + [y[:, 0] for y in outputs[1:]]
        value = merged(description["merge"], *ends) if bidirectional else ends[0]
    return value, tuple(torch.stack(states) for states in zip(*finals))
