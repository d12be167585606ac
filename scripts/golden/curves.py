"""Recorded training: losses and parameters over whole runs.

Every run is made in single precision, which gives the file's losses and parameters, and again in
double precision from the same values (`losses64`), which shows how far rounding alone moves it.
"""

import torch
from torch import nn
from torch.nn import functional

from common import Case, Random
from models import LastStepModel, TokenModel, draw_parameters, named_copies
from optimizers import ScheduleFreeAdamW, decays

ADAM = {"beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8}
LANGUAGE = {"optimizer": "adamw",
            "options": {"learningRate": 5e-3, **ADAM, "weightDecay": 0.01, "clipNorm": 1.0}}
REGRESSION = {"optimizer": "sgd", "options": {"learningRate": 0.02, "momentum": 0.9}}
SCHEDULE_FREE = {"optimizer": "scheduleFreeAdamw",
                 "options": {"learningRate": 0.01, **ADAM, "weightDecay": 0.05}}
WINDOWS = {"optimizer": "adam", "options": {"learningRate": 1e-2, **ADAM}}


def make_optimizer(recipe: dict, model: nn.Module) -> torch.optim.Optimizer:
    options = recipe["options"]
    if recipe["optimizer"] == "sgd":
        return torch.optim.SGD(model.parameters(), lr=options["learningRate"],
                               momentum=options["momentum"])
    adam = {"lr": options["learningRate"], "betas": (options["beta1"], options["beta2"]),
            "eps": options["epsilon"]}
    if recipe["optimizer"] == "adam":
        return torch.optim.Adam(model.parameters(), **adam)
    decay = options["weightDecay"]
    make = torch.optim.AdamW
    if recipe["optimizer"] == "scheduleFreeAdamw":
        def make(groups, **defaults):
            return ScheduleFreeAdamW(groups, defaults)
    return make(
        [{"params": [p for p in model.parameters() if decays(p)], "weight_decay": decay},
         {"params": [p for p in model.parameters() if not decays(p)], "weight_decay": 0.0}], **adam)


def update(recipe: dict, model: nn.Module, optimizer, loss: torch.Tensor) -> float:
    """One step; returns the global norm of the gradients before any clipping."""
    optimizer.zero_grad()
    loss.backward()
    limit = recipe["options"].get("clipNorm", float("inf"))
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), limit)
    optimizer.step()
    return norm.item()


def token_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), target.reshape(-1).long())


def train(recipe: dict, model: nn.Module, loss_of, steps: int) -> dict[str, torch.Tensor]:
    """`loss_of(step)` gives the loss before each of the updates; records what happens."""
    optimizer = make_optimizer(recipe, model)
    losses, norms, record = [], [], {}
    for step in range(steps):
        if isinstance(optimizer, ScheduleFreeAdamW):
            optimizer.train()
        loss = loss_of(step)
        losses.append(loss.item())
        if step == 0:
            gradients = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
            record |= {f"grad.{name}": gradient for (name, _), gradient
                       in zip(model.named_parameters(), gradients)}
        norms.append(update(recipe, model, optimizer, loss))
    dtype = next(model.parameters()).dtype
    return record | {"losses": torch.tensor(losses, dtype=dtype),
                     "norms": torch.tensor(norms, dtype=dtype)}


def record_case(name: str, description: dict, make_model, data: dict[str, torch.Tensor],
                steps: int, make_loss) -> Case:
    """`make_loss(model, data)` gives the function of the step, and one of the last states."""
    model = make_model()
    draw_parameters(model, Random(f"curve {name} parameters"))
    initial = named_copies(model, "initial")
    loss_of, states = make_loss(model, data)
    record = train(description, model, loss_of, steps)

    double = make_model().double()
    double.load_state_dict({key.removeprefix("initial."): value for key, value in initial.items()})
    double_data = {key: value.double() if value.is_floating_point() else value
                   for key, value in data.items()}
    losses64 = train(description, double, make_loss(double, double_data)[0], steps)["losses"]

    description = {**description, "steps": steps}
    if description["optimizer"] == "adamw":
        description["decayed"] = [key for key, p in model.named_parameters() if decays(p)]
    tensors = {**data, **initial, **record, "losses64": losses64, **named_copies(model, "final"),
               **states()}
    return Case("curve", name, description, tensors)


def sentences(random: Random, rows: int, length: int, alphabet: int) -> torch.Tensor:
    """Tokens with something to learn: mostly the next of the alphabet, now and then any other."""
    tokens = torch.zeros(rows, length, dtype=torch.int32)
    tokens[:, 0] = random.integers(rows, high=alphabet)
    leap = random.uniform(rows, length) < 0.2
    anywhere = random.integers(rows, length, high=alphabet)
    for t in range(1, length):
        tokens[:, t] = torch.where(leap[:, t], anywhere[:, t], (tokens[:, t - 1] + 3) % alphabet)
    return tokens


def clipped(recipe: dict, norm: float) -> dict:
    return {**recipe, "options": {**recipe["options"], "clipNorm": norm}}


def language_model(name: str, recipe: dict) -> Case:
    """Token 10 of 11 never occurs: its row of the embedding has no gradient and only decays."""
    random = Random("curve language model data")

    def make_loss(model, data):
        tokens = data["tokens"]
        return lambda step: token_loss(model(tokens[:, :-1])[0], tokens[:, 1:]), dict

    model = {"vocabulary": 11, "embedding": 8, "cell": "lstm", "units": 24, "layers": 2}
    return record_case(
        name, {"task": "languageModel", "model": model, **recipe},
        lambda: TokenModel(nn.LSTM, 11, 8, 24, 2),
        {"tokens": sentences(random, 8, 21, 10)}, 50, make_loss)


def regression(name: str, recipe: dict) -> Case:
    random = Random("curve regression data")
    x = random.normal(16, 12, 3)
    target = torch.stack([x[:, :, 0].mean(1) * 2, torch.tanh(x[:, -3:, 1].sum(1))], dim=1)

    def make_loss(model, data):
        return lambda step: functional.mse_loss(model(data["x"]), data["target"]), dict

    model = {"inputs": 3, "cell": "gru", "units": 17, "layers": 1, "outputs": 2}
    return record_case(name, {"task": "lastStepRegression", "model": model, **recipe},
                       lambda: LastStepModel(nn.GRU, 3, 17, 2), {"x": x, "target": target}, 50,
                       make_loss)


def truncated(name: str, rnn: type, cell: str, layers: int, units: int) -> Case:
    """Two lanes of contiguous tokens in five windows; states are carried, gradients are cut."""
    random = Random(f"curve {name} data")
    windows, window = 5, 7

    def make_loss(model, data):
        carried = []

        def loss_of(step: int) -> torch.Tensor:
            part = data["tokens"][:, step * window : (step + 1) * window + 1]
            logits, states = model(part[:, :-1], carried[-1] if carried else None)
            states = states if isinstance(states, tuple) else (states,)
            detached = tuple(state.detach() for state in states)
            carried.append(detached if len(detached) == 2 else detached[0])
            return token_loss(logits, part[:, 1:])

        def last_states() -> dict[str, torch.Tensor]:
            states = carried[-1] if isinstance(carried[-1], tuple) else (carried[-1],)
            return dict(zip(("state.h", "state.c"), states))

        return loss_of, last_states

    model = {"vocabulary": 11, "embedding": 6, "cell": cell, "units": units, "layers": layers}
    description = {"task": "truncatedBptt", "model": model, "window": window, **WINDOWS}
    return record_case(name, description, lambda: TokenModel(rnn, 11, 6, units, layers),
                       {"tokens": sentences(random, 2, windows * window + 1, 10)}, windows,
                       make_loss)


def build() -> list[Case]:
    # The limit of 1 is never reached; in the clipped runs the norm is above the limit at most
    # steps, and with SGD, whose update follows the gradient's scale, that shows at once.
    return [language_model("language-model", LANGUAGE),
            language_model("language-model-clipped", clipped(LANGUAGE, 0.1)),
            regression("regression", REGRESSION),
            regression("regression-clipped", clipped(REGRESSION, 0.15)),
            regression("regression-schedule-free", SCHEDULE_FREE),
            truncated("truncated-bptt-lstm", nn.LSTM, "lstm", 2, 16),
            truncated("truncated-bptt-gru", nn.GRU, "gru", 1, 19)]
