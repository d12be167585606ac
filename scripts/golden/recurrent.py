"""Cases of recurrent layers: outputs, final states and all gradients."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import cells
from common import Case, Random, leaf
from covering import covering_rows

MODULES = {
    "rnn_tanh": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="tanh", **options),
    "rnn_relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}

FACTORS = {
    "cell": ["rnn_tanh", "rnn_relu", "lstm", "gru", "gru_reset_before"],
    "bidirectional": [False, True],
    "layers": [1, 2, 3],
    "lengths": ["full", "ragged", "zero"],
    "useBias": [True, False],
    "initialState": [False, True],
    "batch": [1, 2, 3, 4, 5],
    "steps": [1, 2, 3, 5, 7, 9],
    "inputs": [1, 3, 5, 16],
    "units": [1, 5, 8, 16, 17, 33],
}

PLAIN = {"merge": "concat", "goBackwards": False, "returnSequences": True}

# What torch.nn has no option for.
EXTRAS = [
    {"cell": "lstm", "bidirectional": True, "merge": "sum", "lengths": "ragged"},
    {"cell": "gru", "bidirectional": True, "merge": "sum", "layers": 2},
    {"cell": "lstm", "bidirectional": True, "merge": "mul", "layers": 2, "lengths": "zero"},
    {"cell": "rnn_tanh", "bidirectional": True, "merge": "mul"},
    {"cell": "gru", "bidirectional": True, "merge": "ave", "lengths": "ragged"},
    {"cell": "lstm", "bidirectional": True, "merge": "ave", "layers": 3},
    {"cell": "lstm", "goBackwards": True},
    {"cell": "gru", "goBackwards": True, "layers": 2, "lengths": "ragged"},
    {"cell": "lstm", "returnSequences": False, "layers": 2, "lengths": "zero"},
    {"cell": "gru", "returnSequences": False, "bidirectional": True, "lengths": "ragged"},
    {"cell": "rnn_tanh", "returnSequences": False, "goBackwards": True, "lengths": "ragged"},
    {"cell": "gru_reset_before", "returnSequences": False, "bidirectional": True, "merge": "sum"},
]
# Cells that torch.nn has not, or not with these options.
VARIANTS = [
    {"cell": "lstm_clipped", "cellClip": 0.375, "layers": 2, "bidirectional": True},
    {"cell": "lstm_peephole"},
    {"cell": "lstm_peephole", "cellClip": 0.375, "bidirectional": True, "lengths": "zero",
     "units": 17},
    {"cell": "lstm_coupled", "layers": 2, "lengths": "ragged"},
    {"cell": "lstm_coupled_peephole", "cellClip": 0.375, "goBackwards": True, "lengths": "ragged"},
    {"cell": "lstm_coupled_peephole", "bidirectional": True, "layers": 2,
     "returnSequences": False},
    {"cell": "indrnn_tanh", "lengths": "ragged", "useBias": False},
    {"cell": "indrnn_relu", "layers": 3, "bidirectional": True, "lengths": "zero", "units": 17},
    {"cell": "indrnn_relu", "returnSequences": False, "initialState": False},
]
# LSTMs with a projected h: PyTorch's own, and with what it has not.
PROJECTED = [
    {"cell": "lstm", "projection": 4},
    {"cell": "lstm", "projection": 5, "layers": 2, "lengths": "ragged", "useBias": False},
    {"cell": "lstm", "projection": 3, "layers": 2, "bidirectional": True, "lengths": "zero"},
    {"cell": "lstm", "projection": 9, "units": 17, "initialState": False},
    {"cell": "lstm", "projection": 4, "bidirectional": True, "merge": "sum", "lengths": "ragged",
     "returnSequences": False},
    {"cell": "lstm_coupled_peephole", "projection": 4, "cellClip": 0.375, "goBackwards": True,
     "lengths": "ragged"},
]
EXTRA_DEFAULTS = {"bidirectional": False, "layers": 1, "lengths": "full", "useBias": True,
                  "initialState": True, "batch": 3, "steps": 6, "inputs": 4, "units": 9, **PLAIN}

# The smallest distance from a corner (relu's, or the bound of a cell state) that any value may
# have: an error of rounding
# must not change which side it is on.
CORNER = 2e-5


def allowed(row: dict) -> bool:
    """A ragged batch has a row shorter than T; a batch with an empty row has a row with steps."""
    if row.get("lengths") == "ragged" and row.get("steps") == 1:
        return False
    return not (row.get("lengths") == "zero" and row.get("batch") == 1)


def draw_lengths(mode: str, batch: int, steps: int, random: Random) -> torch.Tensor:
    """[B] int32, not sorted; the longest is T; "zero" has at least one empty row."""
    if mode == "full":
        return torch.full((batch,), steps, dtype=torch.int32)
    if batch == 1:
        return random.integers(1, low=1, high=steps)
    lengths = [steps] + [int(random.integers(1, low=1, high=steps + 1)) for _ in range(batch - 1)]
    if mode == "zero":
        lengths[-1] = 0
    elif all(length == steps for length in lengths):
        lengths[-1] = steps - 1
    return torch.tensor(random.shuffled(lengths), dtype=torch.int32)


def draw_problem(description: dict, random: Random) -> dict[str, torch.Tensor]:
    """Inputs, lengths, states, parameters and upstream gradients, by their names in the file."""
    batch, steps, units = description["batch"], description["steps"], description["units"]
    cell, directions = description["cell"], 2 if description["bidirectional"] else 1
    slots = directions * description["layers"]
    tensors = {
        "x": random.normal(batch, steps, description["inputs"]),
        "lengths": draw_lengths(description["lengths"], batch, steps, random),
    }
    projection = description.get("projection")
    widths = dict(zip(cells.state_names(cell), cells.state_widths(cell, units, projection)))
    if description["initialState"]:
        for name, width in widths.items():
            tensors[f"{name}0"] = random.normal(slots, batch, width, scale=0.5)
    bound = 1.2 / max(units, 4) ** 0.5
    shapes = cells.param_shapes(cell, description["inputs"], units, description["layers"],
                                description["bidirectional"], description["useBias"],
                                description["merge"], projection)
    for name, shape in shapes.items():
        tensors[name] = random.uniform(*shape, low=-bound, high=bound)
    concat = description["bidirectional"] and description["merge"] == "concat"
    features = (2 if concat else 1) * widths["h"]
    shape = (batch, steps, features) if description["returnSequences"] else (batch, features)
    tensors["dy"] = random.normal(*shape)
    for name, width in widths.items():
        tensors[f"d{name}_n"] = random.normal(slots, batch, width)
    return tensors


def zero_states(description: dict, batch: int, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    slots = (2 if description["bidirectional"] else 1) * description["layers"]
    widths = cells.state_widths(description["cell"], description["units"],
                                description.get("projection"))
    return tuple(torch.zeros(slots, batch, width, dtype=dtype) for width in widths)


def run_torch(description: dict, params: dict, x: torch.Tensor, lengths: torch.Tensor,
              initial: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """torch.nn's own layer on packed rows; rows of no steps, which it refuses, are left out."""
    projection = description.get("projection")
    module = MODULES[description["cell"]](
        description["inputs"], description["units"], num_layers=description["layers"],
        bias=description["useBias"], bidirectional=description["bidirectional"], batch_first=True,
        **({"proj_size": projection} if projection else {}),
    ).to(x.dtype)
    rows = torch.nonzero(lengths > 0).squeeze(1)
    packed = pack_padded_sequence(x[rows], lengths[rows].long(), batch_first=True,
                                  enforce_sorted=False)
    states = tuple(state[:, rows] for state in initial)
    output, finals = torch.func.functional_call(
        module, params, (packed, states if len(states) == 2 else states[0]))
    finals = finals if isinstance(finals, tuple) else (finals,)
    part, _ = pad_packed_sequence(output, batch_first=True, total_length=x.shape[1])
    y = torch.zeros(x.shape[0], *part.shape[1:], dtype=x.dtype).index_copy(0, rows, part)
    return y, tuple(state.index_copy(1, rows, final) for state, final in zip(initial, finals))


def solve(description: dict, problem: dict[str, torch.Tensor], run, dtype=torch.float32,
          observe=None) -> dict[str, torch.Tensor]:
    """Outputs, final states and gradients by their names in the file."""
    names = cells.state_names(description["cell"])
    upstream = {"dy"} | {f"d{name}_n" for name in names}
    states = {f"{name}0" for name in names}
    params = {name: leaf(value.to(dtype)) for name, value in problem.items()
              if name not in upstream | states | {"x", "lengths"}}
    x = leaf(problem["x"].to(dtype))
    given = {name: leaf(problem[name].to(dtype)) for name in sorted(states) if name in problem}
    initial = tuple(given[f"{name}0"] for name in names) if given else zero_states(
        description, x.shape[0], dtype)
    options = {"observe": observe} if observe else {}
    y, finals = run(description, params, x, problem["lengths"], initial, **options)
    loss = (y * problem["dy"].to(dtype)).sum()
    for name, final in zip(names, finals):
        loss = loss + (final * problem[f"d{name}_n"].to(dtype)).sum()
    loss.backward()
    results = {"y": y} | {f"{name}_n": final for name, final in zip(names, finals)}
    for name, value in {"x": x, **given, **params}.items():
        results[f"grad.{name}"] = value.grad
    return {name: value.detach() for name, value in results.items()}


def corner_distance(description: dict, problem: dict[str, torch.Tensor]) -> float:
    """The smallest distance but 0 that `cells.step` observes, computed in double precision.

    Exact zeros come from zeros alone (no bias, no state, an inactive layer below): they are zeros
    in any arithmetic, and relu's derivative there is 0.
    """
    smallest = [float("inf")]

    def observe(a: torch.Tensor) -> None:
        distances = a.detach().abs()
        distances = distances[distances > 0]
        if distances.numel():
            smallest[0] = min(smallest[0], distances.min().item())

    solve(description, problem, cells.run, torch.float64, observe)
    return smallest[0]


def has_corner(description: dict) -> bool:
    return description["cell"] in ("rnn_relu", "indrnn_relu") or "cellClip" in description


def is_torch(description: dict) -> bool:
    plain = all(description[name] == value for name, value in PLAIN.items())
    return plain and description["cell"] in MODULES


def build_case(name: str, options: dict) -> Case:
    description = {**PLAIN, **options}
    source = run_torch if is_torch(description) else cells.run
    for attempt in range(100):
        problem = draw_problem(description, Random(f"recurrent {name} {attempt}"))
        if not has_corner(description) or corner_distance(description, problem) > CORNER:
            break
    else:
        raise ValueError(f"{name}: every draw comes too close to a corner")
    description["source"] = "torch.nn" if source is run_torch else "unrolled"
    return Case("recurrent", name, description, problem | solve(description, problem, source))


def short_name(options: dict) -> str:
    parts = [
        options["cell"].replace("_", "-"),
        ("bi" if options["bidirectional"] else "uni") + str(options["layers"]),
        options["lengths"],
        f"t{options['steps']}b{options['batch']}i{options['inputs']}h{options['units']}"
        + (f"p{options['projection']}" if "projection" in options else ""),
    ]
    parts += [] if options["useBias"] else ["nobias"]
    parts += ["state"] if options["initialState"] else []
    if options.get("merge", "concat") != "concat":
        parts.append(str(options["merge"]))
    parts += ["backwards"] if options.get("goBackwards") else []
    parts += [] if options.get("returnSequences", True) else ["last"]
    parts += ["bounded"] if "cellClip" in options else []
    return "-".join(parts)


def build() -> list[Case]:
    rows = covering_rows(FACTORS, allowed, "recurrent pairs")
    rows += [{**EXTRA_DEFAULTS, **extra} for extra in EXTRAS + VARIANTS + PROJECTED]
    return [build_case(short_name(row), row) for row in rows]
