"""Cases of learning-rate schedules, in double precision, from closed forms.

Each closed form that torch.optim.lr_scheduler also has is compared with it here.
"""

import math

import torch
from torch.optim import lr_scheduler

from common import Case, Random

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


def polynomial(options: dict, s: int) -> float:
    base, warmup, total, minimum = (options[k] for k in ("base", "warmup", "total", "minimum"))
    if s < warmup:
        return base * (s + 1) / warmup
    left = 1 - (min(s, total) - warmup) / (total - warmup)
    return minimum + (base - minimum) * left ** options["power"]


def inverse_square_root(options: dict, s: int) -> float:
    """Vaswani et al., "Attention is all you need", equation 3, with the peak as the unit."""
    n, warmup = s + 1, options["warmup"]
    return options["base"] * warmup ** 0.5 * min(n ** -0.5, n * warmup ** -1.5)


def warm_restarts(options: dict, s: int) -> float:
    """Loshchilov and Hutter, arXiv:1608.03983, equation 5."""
    length, peak = options["period"], options["base"]
    while s >= length:
        s -= length
        length *= options["periodFactor"]
        peak = max(options["minimum"], peak * options["peakFactor"])
    minimum = options["minimum"]
    return minimum + 0.5 * (peak - minimum) * (1 + math.cos(math.pi * s / length))


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
    ("polynomial", "polynomial",
     {"base": 0.01, "warmup": 0, "total": 60, "minimum": 0.0, "power": 1.0}),
    ("polynomial-square", "polynomial",
     {"base": 0.01, "warmup": 0, "total": 40, "minimum": 0.0, "power": 2.0}),
    ("polynomial-warmup", "polynomial",
     {"base": 0.5, "warmup": 12, "total": 50, "minimum": 0.05, "power": 0.5}),
    ("inverse-square-root", "inverseSquareRoot", {"base": 0.002, "warmup": 1}),
    ("inverse-square-root-warmup", "inverseSquareRoot", {"base": 0.002, "warmup": 16}),
    ("warm-restarts", "warmRestarts",
     {"base": 0.1, "period": 17, "periodFactor": 1, "peakFactor": 1.0, "minimum": 0.0}),
    ("warm-restarts-longer", "warmRestarts",
     {"base": 0.1, "period": 4, "periodFactor": 3, "peakFactor": 1.0, "minimum": 0.002}),
    ("warm-restarts-lower", "warmRestarts",
     {"base": 0.1, "period": 6, "periodFactor": 2, "peakFactor": 0.3, "minimum": 0.01}),
]

# PyTorch's own forms; values are what torch steps through.
ONE_CYCLE = {"base": 0.1, "total": 60, "warmupFraction": 0.3, "anneal": "cosine",
             "threePhase": False, "divFactor": 25.0, "finalDivFactor": 1e4}
ONE_CYCLES = [
    ("one-cycle", ONE_CYCLE),
    ("one-cycle-linear", {**ONE_CYCLE, "anneal": "linear", "warmupFraction": 0.45}),
    ("one-cycle-three-phase",
     {**ONE_CYCLE, "threePhase": True, "divFactor": 4.0, "finalDivFactor": 100.0}),
    ("one-cycle-three-phase-linear",
     {**ONE_CYCLE, "threePhase": True, "anneal": "linear", "warmupFraction": 0.2}),
    ("one-cycle-momentum",
     {**ONE_CYCLE, "cycleMomentum": True, "baseMomentum": 0.85, "maxMomentum": 0.95}),
    ("one-cycle-momentum-three-phase-linear",
     {**ONE_CYCLE, "threePhase": True, "anneal": "linear", "warmupFraction": 0.2,
      "cycleMomentum": True, "baseMomentum": 0.5, "maxMomentum": 0.9}),
]

PLATEAU = {"base": 0.1, "mode": "min", "factor": 0.5, "patience": 2, "threshold": 1e-2,
           "thresholdMode": "relative", "cooldown": 0, "minimum": 0.0}
PLATEAUS = [
    ("plateau", PLATEAU),
    ("plateau-cooldown", {**PLATEAU, "cooldown": 3, "patience": 0}),
    ("plateau-absolute", {**PLATEAU, "thresholdMode": "absolute", "threshold": 0.05}),
    ("plateau-max", {**PLATEAU, "mode": "max", "minimum": 0.004}),
    ("plateau-max-absolute",
     {**PLATEAU, "mode": "max", "thresholdMode": "absolute", "patience": 1, "factor": 0.1}),
]

FORMS = {"constant": lambda options, s: options["base"], "step": step, "exponential": exponential,
         "cosine": cosine, "polynomial": polynomial, "inverseSquareRoot": inverse_square_root,
         "warmRestarts": warm_restarts}


def torch_rates(kind: str, options: dict) -> list[float] | None:
    """The same schedule as torch steps it, or None where torch has none of this form."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=options["base"])
    if kind == "step":
        scheduler = lr_scheduler.StepLR(optimizer, options["interval"], options["factor"])
    elif kind == "exponential" and options["interval"] == 1:
        scheduler = lr_scheduler.ExponentialLR(optimizer, options["factor"])
    elif kind == "cosine" and options["warmup"] == 0:
        scheduler = lr_scheduler.CosineAnnealingLR(optimizer, options["total"], options["minimum"])
    elif kind == "polynomial" and options["warmup"] == 0 and options["minimum"] == 0:
        scheduler = lr_scheduler.PolynomialLR(optimizer, options["total"], options["power"])
    elif kind == "warmRestarts" and options["peakFactor"] == 1:
        scheduler = lr_scheduler.CosineAnnealingWarmRestarts(
            optimizer, options["period"], options["periodFactor"], options["minimum"])
    else:
        return None
    return stepped(optimizer, lambda _: scheduler.step())


def stepped(optimizer, advance) -> list[float]:
    """The rates of STEPS steps; `advance(s)` moves the scheduler on after step s."""
    return stepped_with(optimizer, advance, "lr")


def stepped_with(optimizer, advance, what: str) -> list[float]:
    """The same of any number of the optimiser's group."""
    rates = []
    for s in range(STEPS):
        rates.append(optimizer.param_groups[0][what])
        optimizer.step()
        if s + 1 < STEPS:
            advance(s)
    return rates


def one_cycle_case(name: str, options: dict) -> Case:
    cycles = options.get("cycleMomentum", False)

    def walk(what: str) -> torch.Tensor:
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=options["base"], momentum=0.9)
        scheduler = lr_scheduler.OneCycleLR(
            optimizer, options["base"], total_steps=options["total"],
            pct_start=options["warmupFraction"],
            anneal_strategy={"cosine": "cos", "linear": "linear"}[options["anneal"]],
            cycle_momentum=cycles, base_momentum=options.get("baseMomentum", 0.85),
            max_momentum=options.get("maxMomentum", 0.95), three_phase=options["threePhase"],
            div_factor=options["divFactor"], final_div_factor=options["finalDivFactor"])
        values = stepped_with(optimizer, lambda _: scheduler.step(), what)
        return torch.tensor(values, dtype=torch.float64)

    tensors = {"values": walk("lr")} | ({"momenta": walk("momentum")} if cycles else {})
    return Case("schedule", name, {"schedule": "oneCycle", "options": options}, tensors)


def plateau_case(name: str, options: dict) -> Case:
    """A metric that falls (or rises) ever more slowly, with noise, once per step."""
    random = Random(f"schedule {name}")
    sign = 1 if options["mode"] == "min" else -1
    metric = sign * torch.exp(-torch.arange(STEPS) / 12.0) + 2 + random.normal(STEPS, scale=0.02)
    metric = metric.double()
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=options["base"])
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimizer, options["mode"], options["factor"], options["patience"], options["threshold"],
        {"relative": "rel", "absolute": "abs"}[options["thresholdMode"]], options["cooldown"],
        options["minimum"])
    rates = stepped(optimizer, lambda s: scheduler.step(metric[s].item()))
    if len(set(rates)) < 3:
        raise ValueError(f"{name}: the rate hardly falls")
    return Case("schedule", name, {"schedule": "plateau", "options": options},
                {"values": torch.tensor(rates, dtype=torch.float64), "metric": metric})


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
    cases += [one_cycle_case(*row) for row in ONE_CYCLES]
    cases += [plateau_case(*row) for row in PLATEAUS]
    return cases
