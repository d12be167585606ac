"""Cases of learning-rate schedules, in double precision, from closed forms.

Each closed form that torch.optim.lr_scheduler also has is compared with it here.
"""

import math

import torch
from torch.optim import lr_scheduler

from common import Case

STEPS = 60


def step(options: dict, s: int) -> float:
    return options["base"] * options["factor"] ** math.floor(s / options["interval"])


def exponential(options: dict, s: int) -> float:
    return options["base"] * options["factor"] ** (s / options["interval"])


def cosine(options: dict, s: int) -> float:
    base, warmup, total, minimum = (options[k] for k in ("base", "warmup", "total", "minimum"))
    if s < warmup:
        return base * (s + 1) / warmup
    if s >= total:
        return minimum
    progress = (s - warmup) / (total - warmup)
    return minimum + 0.5 * (base - minimum) * (1 + math.cos(math.pi * progress))


SCHEDULES = [
    ("constant", "constant", {"base": 0.01}),
    ("step", "step", {"base": 0.1, "factor": 0.5, "interval": 7}),
    ("step-every", "step", {"base": 0.01, "factor": 0.9, "interval": 1}),
    ("exponential", "exponential", {"base": 0.02, "factor": 0.97, "interval": 1}),
    ("exponential-interval", "exponential", {"base": 0.02, "factor": 0.5, "interval": 12}),
    ("cosine", "cosine", {"base": 0.005, "warmup": 0, "total": 60, "minimum": 0.0}),
    ("cosine-warmup", "cosine", {"base": 0.005, "warmup": 10, "total": 60, "minimum": 0.00025}),
    ("cosine-past-end", "cosine", {"base": 1.0, "warmup": 1, "total": 45, "minimum": 0.1}),
    ("cosine-only-warmup", "cosine", {"base": 0.3, "warmup": 60, "total": 60, "minimum": 0.0}),
]

FORMS = {"constant": lambda options, s: options["base"], "step": step, "exponential": exponential,
         "cosine": cosine}


def torch_rates(kind: str, options: dict) -> list[float] | None:
    """The same schedule as torch steps it, or None where torch has none of this form."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=options["base"])
    if kind == "step":
        scheduler = lr_scheduler.StepLR(optimizer, options["interval"], options["factor"])
    elif kind == "exponential" and options["interval"] == 1:
        scheduler = lr_scheduler.ExponentialLR(optimizer, options["factor"])
    elif kind == "cosine" and options["warmup"] == 0:
        scheduler = lr_scheduler.CosineAnnealingLR(optimizer, options["total"], options["minimum"])
    else:
        return None
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def build() -> list[Case]:
    cases = []
    for name, kind, options in SCHEDULES:
        values = [FORMS[kind](options, s) for s in range(STEPS)]
        expected = torch_rates(kind, options)
        if expected is not None and not torch.allclose(
                torch.tensor(values, dtype=torch.float64),
                torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-15):
            raise ValueError(f"{name}: the closed form and torch's schedule differ")
        tensors = {"values": torch.tensor(values, dtype=torch.float64)}
        cases.append(Case("schedule", name, {"schedule": kind, "options": options}, tensors))
    return cases
