"""Cases of optimisers and gradient clipping on given gradients, from torch.optim."""

import torch
from torch.optim import swa_utils

from common import Case, Random, leaf

STEPS = 20
STORED = (1, 5, 20)

SHAPES = {"weight": (5, 7), "wide": (33, 3), "bias": (7,), "scalar": (1,)}

ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}

ONE_CYCLE = {"baseMomentum": 0.6, "maxMomentum": 0.95}

# Name in the file, optimiser, options by their public names. `oneCycle`: PyTorch's OneCycleLR over
# all steps, with `learningRate` as its peak, moves the momentum too.
OPTIMIZERS = [
    ("sgd", "sgd", {"learningRate": 0.05}),
    ("sgd-momentum", "sgd", {"learningRate": 0.05, "momentum": 0.9}),
    ("sgd-nesterov", "sgd", {"learningRate": 0.05, "momentum": 0.9, "nesterov": True}),
    ("rmsprop", "rmsprop", {"learningRate": 0.01, "rho": 0.99, "epsilon": 1e-8}),
    ("rmsprop-epsilon", "rmsprop", {"learningRate": 0.01, "rho": 0.9, "epsilon": 1e-2}),
    ("rmsprop-momentum", "rmsprop",
     {"learningRate": 0.01, "rho": 0.99, "epsilon": 1e-8, "momentum": 0.9}),
    ("adam", "adam", {"learningRate": 0.01, **ADAM}),
    ("adam-epsilon", "adam", {"learningRate": 0.01, **ADAM, "epsilon": 1e-2}),
    ("adam-betas", "adam", {"learningRate": 0.003, "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-8}),
    ("adamw", "adamw", {"learningRate": 0.01, **ADAM, "weightDecay": 0.1}),
    ("adamw-no-decay", "adamw", {"learningRate": 0.01, **ADAM, "weightDecay": 0.0}),
    ("sgd-clip-norm", "sgd", {"learningRate": 0.05, "momentum": 0.9, "clipNorm": 1.0}),
    ("adamw-clip-norm", "adamw",
     {"learningRate": 0.01, **ADAM, "weightDecay": 0.1, "clipNorm": 1.0}),
    ("sgd-clip-value", "sgd", {"learningRate": 0.05, "clipValue": 0.5}),
    ("adagrad", "adagrad", {"learningRate": 0.05, "epsilon": 1e-10}),
    ("adagrad-accumulator", "adagrad",
     {"learningRate": 0.05, "epsilon": 1e-3, "initialAccumulator": 0.1}),
    ("nadam", "nadam", {"learningRate": 0.01, **ADAM}),
    ("nadam-decay", "nadam",
     {"learningRate": 0.01, **ADAM, "beta1": 0.8, "momentumDecay": 0.1, "weightDecay": 0.1}),
    ("radam", "radam", {"learningRate": 0.01, **ADAM}),
    ("radam-decay", "radam",
     {"learningRate": 0.01, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-4, "weightDecay": 0.1}),
    ("lion", "lion", {"learningRate": 0.01, "beta1": 0.9, "beta2": 0.99}),
    ("lion-decay", "lion",
     {"learningRate": 0.003, "beta1": 0.95, "beta2": 0.98, "weightDecay": 0.5}),
    ("adam-ema", "adam",
     {"learningRate": 0.01, **ADAM, "averaging": {"kind": "ema", "decay": 0.8}}),
    ("sgd-swa", "sgd",
     {"learningRate": 0.05, "averaging": {"kind": "swa", "start": 2, "every": 3}}),
    ("adamw-groups", "adamw",
     {"learningRate": 0.01, **ADAM, "weightDecay": 0.1, "groups": [
         {"match": "layer.weight", "learningRateFactor": 0.5, "weightDecay": 0.3},
         {"match": "*.bias", "learningRateFactor": 2, "weightDecay": 0.2}]}),
    ("adam-accumulate", "adam", {"learningRate": 0.01, **ADAM, "accumulateSteps": 4}),
    ("sgd-one-cycle", "sgd",
     {"learningRate": 0.05, "momentum": 0.9, "nesterov": True, "oneCycle": ONE_CYCLE}),
    ("rmsprop-one-cycle", "rmsprop",
     {"learningRate": 0.01, "rho": 0.99, "epsilon": 1e-8, "momentum": 0.9, "oneCycle": ONE_CYCLE}),
    ("adamw-one-cycle", "adamw",
     {"learningRate": 0.01, **ADAM, "weightDecay": 0.1, "oneCycle": ONE_CYCLE}),
    ("radam-one-cycle", "radam", {"learningRate": 0.01, **ADAM, "oneCycle": ONE_CYCLE}),
    ("lion-one-cycle", "lion",
     {"learningRate": 0.01, "beta1": 0.9, "beta2": 0.99, "oneCycle": ONE_CYCLE}),
]


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of Chen et al., arXiv:2302.06675; PyTorch has none."""

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                update = torch.sign(beta1 * m + (1 - beta1) * p.grad)
                p.sub_(group["lr"] * (update + group["weight_decay"] * p))
                m.mul_(beta2).add_(p.grad, alpha=1 - beta2)


class ScheduleFreeAdamW(torch.optim.Optimizer):
    """Algorithm 1 of Defazio et al., arXiv:2405.15682; PyTorch has none.

    Between `train()` and `step()` the parameters are y, at which gradients are taken; after it x.
    """

    @torch.no_grad()
    def train(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                state["x"] = p.clone()
                if "z" not in state:
                    state["z"], state["v"] = p.clone(), torch.zeros_like(p)
                p.copy_((1 - group["betas"][0]) * state["z"] + group["betas"][0] * state["x"])

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            group["t"] = group.get("t", 0) + 1
            rate, beta2, t = group["lr"], group["betas"][1], group["t"]
            group["sum"] = group.get("sum", 0.0) + rate ** 2
            for p in group["params"]:
                state = self.state[p]
                state["v"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                root = (state["v"] / (1 - beta2 ** t)).sqrt() + group["eps"]
                state["z"] -= rate * (p.grad / root + group["weight_decay"] * p)
                p.copy_(torch.lerp(state["x"], state["z"], rate ** 2 / group["sum"]))


def make_optimizer(kind: str, options: dict, params: dict[str, torch.Tensor]):
    rate = options["learningRate"]
    if kind == "sgd":
        return torch.optim.SGD(params.values(), lr=rate, momentum=options.get("momentum", 0.0),
                               nesterov=options.get("nesterov", False))
    if kind == "rmsprop":
        return torch.optim.RMSprop(params.values(), lr=rate, alpha=options["rho"],
                                   eps=options["epsilon"], momentum=options.get("momentum", 0.0))
    if kind == "adagrad":
        return torch.optim.Adagrad(
            params.values(), lr=rate, eps=options["epsilon"],
            initial_accumulator_value=options.get("initialAccumulator", 0.0))
    betas = {"betas": (options["beta1"], options["beta2"]), "eps": options.get("epsilon", 0.0)}
    if kind == "adam":
        return torch.optim.Adam(params.values(), lr=rate, **betas)
    # What the trainee keeps in its weight and what in its bias.
    factors = [{}, {}]
    for group in options.get("groups", []):
        factors[0 if group["match"] == "layer.weight" else 1] = group
    decay = options.get("weightDecay", 0.0)
    groups = [
        {"params": [p for p in params.values() if decays(p) == wanted],
         "lr": rate * factor.get("learningRateFactor", 1),
         "weight_decay": factor.get("weightDecay", decay if wanted else 0.0)}
        for wanted, factor in zip((True, False), factors)
    ]
    if kind == "adamw":
        return torch.optim.AdamW(groups, lr=rate, **betas)
    if kind == "nadam":
        return torch.optim.NAdam(groups, lr=rate, **betas, decoupled_weight_decay=True,
                                 momentum_decay=options.get("momentumDecay", 0.004))
    if kind == "radam":
        return torch.optim.RAdam(groups, lr=rate, **betas, decoupled_weight_decay=True)
    if kind == "scheduleFreeAdamw":
        return ScheduleFreeAdamW(groups, {"lr": rate, **betas})
    return Lion(groups, {"lr": rate, "betas": betas["betas"]})


def module_of(params: dict[str, torch.Tensor]) -> torch.nn.Module:
    module = torch.nn.Module()
    for key, value in params.items():
        module.register_parameter(key, torch.nn.Parameter(value.detach().clone()))
    return module


def make_average(options: dict, params: dict[str, torch.Tensor]):
    """PyTorch's running mean of the parameters, and whether update t counts for it."""
    averaging = options.get("averaging")
    if averaging is None:
        return None, lambda t: False
    function = (swa_utils.get_ema_avg_fn(averaging["decay"]) if averaging["kind"] == "ema"
                else swa_utils.get_swa_avg_fn())
    start, every = averaging.get("start", 0), averaging.get("every", 1)
    return (swa_utils.AveragedModel(module_of(params), avg_fn=function),
            lambda t: t > start and (t - start) % every == 0)


def decays(parameter: torch.Tensor) -> bool:
    """Matrices decay; parameters of one dimension (biases, norms) do not."""
    return parameter.dim() > 1


def draw_gradients(random: Random) -> dict[str, torch.Tensor]:
    """[STEPS, ...] each: a drift and noise of many magnitudes, and elements that are always 0."""
    gradients = {}
    for name, shape in SHAPES.items():
        scale = 10.0 ** random.uniform(*shape, low=-3.0, high=0.5)
        drift = random.normal(*shape)
        values = (drift + random.normal(STEPS, *shape)) * scale
        values.view(STEPS, -1)[:, 0] = 0.0 if name != "scalar" else values.view(STEPS, -1)[:, 0]
        gradients[name] = values
    return gradients


def clip(params: dict[str, torch.Tensor], options: dict) -> None:
    if "clipNorm" in options:
        torch.nn.utils.clip_grad_norm_(params.values(), options["clipNorm"])
    if "clipValue" in options:
        torch.nn.utils.clip_grad_value_(params.values(), options["clipValue"])


def make_cycle(optimizer, options: dict):
    """The scheduler of a case, or None."""
    if "oneCycle" not in options:
        return None
    cycle = options["oneCycle"]
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options["learningRate"], total_steps=STEPS,
        base_momentum=cycle["baseMomentum"], max_momentum=cycle["maxMomentum"])


def optimizer_case(name: str, kind: str, options: dict) -> Case:
    random = Random(f"optimizer {name}")
    params = {key: leaf(random.normal(*shape)) for key, shape in SHAPES.items()}
    gradients = draw_gradients(random)
    tensors = {f"initial.{key}": value.detach().clone() for key, value in params.items()}
    tensors |= {f"grad.{key}": value for key, value in gradients.items()}
    optimizer = make_optimizer(kind, options, params)
    scheduler = make_cycle(optimizer, options)
    average, counts = make_average(options, params)
    batches = options.get("accumulateSteps", 1)
    for step in range(1, STEPS + 1):
        part = slice(step - 1 - (step - 1) % batches, step)
        if step % batches == 0:
            for key, parameter in params.items():
                parameter.grad = gradients[key][part].mean(dim=0)
            clip(params, options)
            optimizer.step()
            if scheduler is not None and step < STEPS:
                scheduler.step()
        if counts(step):
            average.update_parameters(module_of(params))
        if step in STORED:
            tensors |= {f"after{step}.{key}": value.detach().clone()
                        for key, value in params.items()}
            if average is not None and average.n_averaged > 0:
                tensors |= {f"average{step}.{key}": value.detach().clone()
                            for key, value in average.module.named_parameters()}
    description = {"optimizer": kind, "options": options, "steps": STEPS, "stored": list(STORED)}
    if kind == "adamw" and "groups" not in options:
        description["decayed"] = [key for key, value in params.items() if decays(value)]
    return Case("optimizer", name, description, tensors)


def clip_case(name: str, options: dict, scale: float) -> Case:
    random = Random(f"clip {name}")
    params = {key: leaf(torch.zeros(shape)) for key, shape in SHAPES.items()}
    tensors = {}
    for key, parameter in params.items():
        parameter.grad = random.normal(*parameter.shape, scale=scale)
        tensors[f"grad.{key}"] = parameter.grad.clone()
    tensors["norm"] = torch.nn.utils.get_total_norm([p.grad for p in params.values()])
    clip(params, options)
    tensors |= {f"clipped.{key}": value.grad for key, value in params.items()}
    return Case("clipping", name, {"options": options}, tensors)


def build() -> list[Case]:
    cases = [optimizer_case(*row) for row in OPTIMIZERS]
    cases += [
        clip_case("norm-above", {"clipNorm": 1.0}, 1.0),
        clip_case("norm-below", {"clipNorm": 5.0}, 0.1),
        clip_case("norm-huge", {"clipNorm": 0.25}, 1e6),
        clip_case("value", {"clipValue": 0.5}, 1.0),
        clip_case("value-below", {"clipValue": 5.0}, 0.5),
    ]
    return cases
