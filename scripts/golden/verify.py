"""Checks the golden files from a second side: read back, then computed again in double precision.

NumPy alone, from the equations in test/golden/README.md, computes an LSTM's forward pass, its
gradients (by central differences), the other layers, the losses and the optimisers. The
hand-unrolled cells compute all recurrent cases again. Prints the largest gap of each kind; ends
with 1 where one is too large.
"""

import hashlib
import json
import sys

import numpy as np
import torch
from safetensors import safe_open

import cells
import recurrent
from make import ROOT
from numpy_layers import FORWARD, sigmoid

LIMITS = {"recurrent": 5e-6, "lstm by NumPy": 2e-6, "lstm gradients by NumPy": 2e-5,
          "loss": 2e-6, "optimizer": 1e-5, "clipping": 2e-6, "embedding": 2e-6, "layerNorm": 1e-5,
          **{kind: 5e-6 for kind in FORWARD}}


def read_files() -> list[tuple[dict, dict[str, np.ndarray]]]:
    """Descriptions and tensors of all files, checked against the index."""
    files = []
    for entry in json.loads((ROOT / "index.json").read_text())["files"]:
        path = ROOT / entry["file"]
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            raise ValueError(f"{entry['file']} does not match its hash")
        with safe_open(path, "numpy") as reader:
            metadata = reader.metadata()
            case = json.loads(metadata["case"]) if "case" in metadata else {"kind": entry["kind"]}
            files.append((case, {name: reader.get_tensor(name) for name in reader.keys()}))
    return files


def lstm_forward(case: dict, t: dict[str, np.ndarray]):
    """y, h_n, c_n of any LSTM with merge "concat", row by row and step by step."""
    batch, steps, units = case["batch"], case["steps"], case["units"]
    hidden = case.get("projection", units)
    directions = 2 if case["bidirectional"] else 1
    slots = directions * case["layers"]
    h_n, c_n = (np.array(t.get(name, np.zeros((slots, batch, width))), np.float64)
                for name, width in (("h0", hidden), ("c0", units)))
    value = np.array(t["x"], np.float64)
    for layer in range(case["layers"]):
        y = np.zeros((batch, steps, directions * hidden))
        for direction in range(directions):
            suffix = f"l{layer}" + ("_reverse" if direction else "")
            slot = layer * directions + direction
            bias = t[f"bias_ih_{suffix}"] + t[f"bias_hh_{suffix}"] if case["useBias"] else 0.0
            for row in range(batch):
                h, c = h_n[slot, row], c_n[slot, row]
                times = list(range(t["lengths"][row]))
                for time in times[::-1] if direction else times:
                    a = t[f"weight_ih_{suffix}"] @ value[row, time] + bias
                    i, f, g, o = np.split(a + t[f"weight_hh_{suffix}"] @ h, 4)
                    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                    h = sigmoid(o) * np.tanh(c)
                    if "projection" in case:
                        h = t[f"weight_hr_{suffix}"] @ h
                    y[row, time, direction * hidden : (direction + 1) * hidden] = h
                h_n[slot, row], c_n[slot, row] = h, c
        value = y
    return value, h_n, c_n


def lstm_gap(case: dict, t: dict[str, np.ndarray]) -> float:
    t64 = {k: v if v.dtype.kind == "i" else v.astype(np.float64) for k, v in t.items()}
    results = lstm_forward(case, t64)
    return max(gap(result, t[name]) for result, name in zip(results, ("y", "h_n", "c_n")))


def lstm_gradient_gap(case: dict, t: dict[str, np.ndarray]) -> float:
    """Central differences of sum(y dy) + sum(h_n dh_n) + sum(c_n dc_n), a few of each tensor."""
    t64 = {k: v if v.dtype.kind == "i" else v.astype(np.float64) for k, v in t.items()}
    random = np.random.Generator(np.random.Philox(7))

    def loss() -> float:
        return sum((result * t64[name]).sum()
                   for result, name in zip(lstm_forward(case, t64), ("dy", "dh_n", "dc_n")))

    worst = 0.0
    for name in [key[5:] for key in t if key.startswith("grad.")]:
        flat = t64[name].reshape(-1)
        for index in random.choice(flat.size, min(4, flat.size), replace=False):
            kept, sides = flat[index], []
            for shift in (1e-6, -1e-6):
                flat[index] = kept + shift
                sides.append(loss())
            flat[index] = kept
            worst = max(worst, abs((sides[0] - sides[1]) / 2e-6
                                   - float(t[f"grad.{name}"].reshape(-1)[index])))
    return worst


def gap(a, b) -> float:
    """The largest difference, relative to values above 1."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float((np.abs(a - b) / np.maximum(1.0, np.abs(b))).max()) if a.size else 0.0


def recurrent_gap(case: dict, t: dict[str, np.ndarray]) -> float:
    problem = {name: torch.from_numpy(value) for name, value in t.items()
               if not name.startswith("grad.") and name not in ("y", "h_n", "c_n")}
    results = recurrent.solve(case, problem, cells.run, torch.float64)
    return max(gap(value.numpy(), t[name]) for name, value in results.items())


PLAIN_LOSSES = ("sparseCategoricalCrossentropy", "categoricalCrossentropy", "binaryCrossentropy",
                "meanSquaredError", "meanAbsoluteError", "huber")


def loss_gap(case: dict, t: dict[str, np.ndarray]) -> float:
    """Row losses, value and gradient with respect to the predictions, from the formulas."""
    x, target = t["prediction"].astype(np.float64), t["target"]
    features, kind = x.shape[-1], case["loss"]
    if kind == "sparseCategoricalCrossentropy":
        target = np.eye(features)[target]
    target = target.astype(np.float64)
    if kind == "binaryCrossentropy":
        if case["fromLogits"]:
            rows = np.logaddexp(0, x) - target * x
            slope = sigmoid(np.clip(x, -700, 700)) - target
        else:
            rows = -target * np.log(x) - (1 - target) * np.log(1 - x)
            slope = (x - target) / (x * (1 - x))
    elif kind.endswith("ategoricalCrossentropy"):
        if case["fromLogits"]:
            shifted = x - x.max(-1, keepdims=True)
            log_p = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
            rows, slope = -target * log_p, target.sum(-1, keepdims=True) * np.exp(log_p) - target
        else:
            rows, slope = -target * np.log(x), -target / x
    else:
        e, delta = x - target, case.get("delta")
        if kind == "meanSquaredError":
            rows, slope = e * e, 2 * e
        elif kind == "meanAbsoluteError":
            rows, slope = np.abs(e), np.sign(e)
        else:
            inside = np.abs(e) <= delta
            rows = np.where(inside, e * e / 2, delta * (np.abs(e) - delta / 2))
            slope = np.where(inside, e, delta * np.sign(e))
    divisor = 1 if kind.endswith("ategoricalCrossentropy") else features
    rows, slope = rows.sum(-1) / divisor, slope / divisor
    mask = t.get("mask", np.ones(rows.shape))
    factor = mask * t.get("weights", np.ones(rows.shape)) / mask.sum()
    return max(gap(rows, t["rows"]), gap((rows * factor).sum(), t["value"]),
               gap(slope * factor[..., None], t["grad.prediction"]))


def is_plain(case: dict) -> bool:
    """Whether NumPy's formulas here cover a loss or an optimiser; torch alone made the others."""
    if case["kind"] == "loss":
        options = {"labelSmoothing", "classWeights"} & case.keys()
        return not options and case["loss"] in PLAIN_LOSSES
    if case["kind"] == "optimizer":
        options = {"groups", "averaging", "accumulateSteps", "oneCycle"} & case["options"].keys()
        return not options and case["optimizer"] in ("sgd", "rmsprop", "adam", "adamw")
    return True


def clip(gradients: dict[str, np.ndarray], options: dict) -> dict[str, np.ndarray]:
    if "clipNorm" in options:
        norm = np.sqrt(sum((g * g).sum() for g in gradients.values()))
        factor = min(1.0, options["clipNorm"] / (norm + 1e-6))
        return {name: g * factor for name, g in gradients.items()}
    if "clipValue" in options:
        limit = options["clipValue"]
        return {name: np.clip(g, -limit, limit) for name, g in gradients.items()}
    return gradients


def optimizer_gap(case: dict, t: dict[str, np.ndarray]) -> float:
    o, kind, worst = case["options"], case["optimizer"], 0.0
    part = lambda prefix: {name.removeprefix(prefix): value.astype(np.float64)
                           for name, value in t.items() if name.startswith(prefix)}
    params, gradients = part("initial."), part("grad.")
    m = {name: np.zeros_like(p) for name, p in params.items()}
    v = {name: np.zeros_like(p) for name, p in params.items()}
    rate = o["learningRate"]
    for s in range(1, case["steps"] + 1):
        for name, g in clip({name: g[s - 1] for name, g in gradients.items()}, o).items():
            p = params[name]
            if kind == "sgd":
                momentum = o.get("momentum", 0.0)
                m[name] = momentum * m[name] + g
                p -= rate * (g + momentum * m[name] if o.get("nesterov") else m[name])
            elif kind == "rmsprop":
                v[name] = o["rho"] * v[name] + (1 - o["rho"]) * g * g
                m[name] = o.get("momentum", 0.0) * m[name] + g / (np.sqrt(v[name]) + o["epsilon"])
                p -= rate * m[name]
            else:
                if kind == "adamw" and name in case["decayed"]:
                    p *= 1 - rate * o["weightDecay"]
                m[name] = o["beta1"] * m[name] + (1 - o["beta1"]) * g
                v[name] = o["beta2"] * v[name] + (1 - o["beta2"]) * g * g
                root = np.sqrt(v[name] / (1 - o["beta2"] ** s)) + o["epsilon"]
                p -= rate * m[name] / (1 - o["beta1"] ** s) / root
        if s in case["stored"]:
            worst = max(worst, *(gap(p, t[f"after{s}.{name}"]) for name, p in params.items()))
    return worst


def clipping_gap(case: dict, t: dict[str, np.ndarray]) -> float:
    gradients = {name[5:]: value.astype(np.float64) for name, value in t.items()
                 if name.startswith("grad.")}
    norm = np.sqrt(sum((g * g).sum() for g in gradients.values()))
    return max(gap(norm, t["norm"]), *(gap(value, t[f"clipped.{name}"]) for name, value
                                       in clip(gradients, case["options"]).items()))


def forward_gap(case: dict, t: dict[str, np.ndarray]) -> float:
    """A layer's output, and its gradients by central differences of sum(y dy), a few of each."""
    t64 = {name: value if value.dtype.kind == "i" else value.astype(np.float64)
           for name, value in t.items()}
    y = "output" if "output" in t else "y"
    forward = lambda: FORWARD[case["kind"]](case, t64)
    random = np.random.Generator(np.random.Philox(7))
    worst = gap(forward(), t[y])
    for name in [key[5:] for key in t if key.startswith("grad.")]:
        flat, expected = t64[name].reshape(-1), t[f"grad.{name}"].reshape(-1)
        for index in random.choice(flat.size, min(5, flat.size), replace=False):
            kept, sides = flat[index], []
            for shift in (1e-6, -1e-6):
                flat[index] = kept + shift
                sides.append((forward() * t64[f"d{y}"]).sum())
            flat[index] = kept
            worst = max(worst, gap((sides[0] - sides[1]) / 2e-6, expected[index]))
    return worst


def embedding_gap(case: dict, t: dict[str, np.ndarray]) -> float:
    gradient = np.zeros(t["weight"].shape)
    np.add.at(gradient, t["ids"], t["dy"].astype(np.float64))
    return max(gap(t["weight"][t["ids"]], t["y"]), gap(gradient, t["grad.weight"]))


def layer_norm_gap(case: dict, t: dict[str, np.ndarray]) -> float:
    x = t["x"].astype(np.float64)
    r = 1 / np.sqrt(x.var(-1, keepdims=True) + case["epsilon"])
    normal = (x - x.mean(-1, keepdims=True)) * r
    d = t["dy"] * t["weight"].astype(np.float64)
    dx = r * (d - d.mean(-1, keepdims=True) - normal * (d * normal).mean(-1, keepdims=True))
    return max(gap(normal * t["weight"] + t["bias"], t["y"]), gap(dx, t["grad.x"]))


def main() -> int:
    checks = {"recurrent": recurrent_gap, "loss": loss_gap, "optimizer": optimizer_gap,
              "clipping": clipping_gap, "embedding": embedding_gap, "layerNorm": layer_norm_gap,
              **{kind: forward_gap for kind in FORWARD}}
    gaps: dict[str, list[float]] = {name: [] for name in LIMITS}
    for case, tensors in read_files():
        if case["kind"] in checks and is_plain(case):
            gaps[case["kind"]].append(checks[case["kind"]](case, tensors))
        if case["kind"] == "recurrent" and case["cell"] == "lstm" and case["source"] == "torch.nn":
            gaps["lstm by NumPy"].append(lstm_gap(case, tensors))
            gaps["lstm gradients by NumPy"].append(lstm_gradient_gap(case, tensors))
    failed = False
    for name, found in gaps.items():
        verdict = "ok" if found and max(found) <= LIMITS[name] else "TOO LARGE"
        failed = failed or verdict != "ok"
        print(f"{name:24} {len(found):3} cases, largest gap {max(found, default=np.nan):.1e} "
              f"(limit {LIMITS[name]:.0e}) {verdict}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
