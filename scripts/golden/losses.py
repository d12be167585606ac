"""Cases of losses: the value and its gradient with respect to the predictions.

A row is a sample [B, C] or a step [B, T, C]. value = sum over rows of mask * weight * row loss,
divided by the number of rows that are not masked.
"""

import torch
from torch.nn import functional

import more_losses
from common import Case, Random, leaf

# Keeps probabilities away from the clamp that some implementations apply near 0 and 1.
MARGIN = 1e-3


def sparse_rows(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    flat = functional.cross_entropy(prediction.reshape(-1, prediction.shape[-1]),
                                    target.reshape(-1).long(), reduction="none")
    return flat.reshape(target.shape)


def dense_rows(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    classes = prediction.shape[-1]
    flat = functional.cross_entropy(prediction.reshape(-1, classes), target.reshape(-1, classes),
                                    reduction="none")
    return flat.reshape(target.shape[:-1])


def sparse_probability_rows(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    classes = prediction.shape[-1]
    flat = functional.nll_loss(prediction.reshape(-1, classes).log(), target.reshape(-1).long(),
                               reduction="none")
    return flat.reshape(target.shape)


def dense_probability_rows(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return -(target * prediction.log()).sum(dim=-1)


def mean_over_features(function):
    return lambda prediction, target: function(prediction, target, reduction="none").mean(dim=-1)


def huber_rows(delta: float):
    return mean_over_features(
        lambda prediction, target, reduction: functional.huber_loss(
            prediction, target, delta=delta, reduction=reduction))


SPARSE = "sparseCategoricalCrossentropy"
DENSE = "categoricalCrossentropy"
BINARY = "binaryCrossentropy"

# Name in the file, loss, options, row loss.
LOSSES = [
    ("sparse-ce", SPARSE, {"fromLogits": True}, sparse_rows),
    ("dense-ce", DENSE, {"fromLogits": True}, dense_rows),
    ("binary-ce", BINARY, {"fromLogits": True},
     mean_over_features(functional.binary_cross_entropy_with_logits)),
    ("sparse-ce-probabilities", SPARSE, {"fromLogits": False}, sparse_probability_rows),
    ("dense-ce-probabilities", DENSE, {"fromLogits": False}, dense_probability_rows),
    ("binary-ce-probabilities", BINARY, {"fromLogits": False},
     mean_over_features(functional.binary_cross_entropy)),
    ("mse", "meanSquaredError", {}, mean_over_features(functional.mse_loss)),
    ("mae", "meanAbsoluteError", {}, mean_over_features(functional.l1_loss)),
    ("huber-1", "huber", {"delta": 1.0}, huber_rows(1.0)),
    ("huber-0.3", "huber", {"delta": 0.3}, huber_rows(0.3)),
]

# Name in the file, shape of the rows, classes or features, with mask, with weights.
VARIANTS = [
    ("rows", (6,), 5, False, False),
    ("one-row", (1,), 17, False, False),
    ("steps", (3, 4), 7, False, False),
    ("steps-mask", (3, 5), 9, True, False),
    ("steps-weights", (2, 6), 33, False, True),
    ("steps-mask-weights", (4, 3), 6, True, True),
]


def draw_target(loss: str, rows: tuple[int, ...], classes: int, random: Random) -> torch.Tensor:
    if loss.startswith("sparse"):
        return random.integers(*rows, high=classes)
    if loss in (DENSE, "categoricalFocalCrossentropy", "klDivergence"):
        return torch.softmax(random.normal(*rows, classes, scale=1.5), dim=-1)
    if loss == "negativeBinomial":
        return random.integers(*rows, classes, high=12).float()
    if loss in (BINARY, "binaryFocalCrossentropy"):
        # Hard labels, and a soft one in the first place.
        target = random.integers(*rows, classes, high=2).float()
        target.view(-1)[0] = 0.25
        return target
    target = random.normal(*rows, classes)
    return target


def draw_mask(rows: tuple[int, ...], random: Random) -> torch.Tensor:
    """uint8; at least one row counts and at least one does not."""
    mask = random.integers(*rows, high=2).to(torch.uint8)
    mask.view(-1)[0], mask.view(-1)[-1] = 1, 0
    return mask


def evaluate(row_losses: torch.Tensor, extras: dict[str, torch.Tensor]) -> torch.Tensor:
    count = row_losses.numel()
    if "weights" in extras:
        row_losses = row_losses * extras["weights"]
    if "mask" in extras:
        count = int(extras["mask"].sum())
        row_losses = row_losses * extras["mask"]
    return row_losses.sum() / count


def loss_case(name: str, loss: str, options: dict, row_loss, rows: tuple[int, ...], classes: int,
              masked: bool, weighted: bool, scale: float = 2.0, share: int = 1) -> Case:
    """`share` is the number of predictions for each feature of the targets."""
    random = Random(f"loss {name}")
    target = draw_target(loss, rows, classes, random)
    raw = leaf(random.normal(*rows, classes * share, scale=scale))
    inputs = {"prediction": raw}
    prediction = raw
    if options.get("fromLogits") is False:
        prediction = torch.sigmoid(raw) if loss == BINARY else torch.softmax(raw, dim=-1)
        prediction.retain_grad()
        inputs = {"logits": raw, "prediction": prediction}
        if prediction.min() < MARGIN / 100 or (loss == BINARY and prediction.max() > 1 - MARGIN):
            raise ValueError(f"{name}: a probability lies too close to 0 or 1")
    if loss == "meanAbsoluteError":
        # No error: the derivative there is 0. Elsewhere its sign must be beyond doubt.
        target.view(-1)[0] = prediction.detach().view(-1)[0]
        distance = (target - prediction.detach()).abs().view(-1)[1:]
        if distance.numel() and distance.min() < 1e-4:
            raise ValueError(f"{name}: an error lies too close to 0")
    extras = {"mask": draw_mask(rows, random)} if masked else {}
    if weighted:
        extras["weights"] = random.uniform(*rows, low=0.1, high=2.0)
        extras["weights"].view(-1)[1] = 0.0
    losses = row_loss(prediction, target)
    value = evaluate(losses, extras)
    value.backward()
    gradients = {f"grad.{key}": tensor.grad for key, tensor in inputs.items()}
    tensors = {**inputs, "target": target, **extras, "rows": losses, "value": value, **gradients}
    return Case("loss", name, {"loss": loss, **options}, tensors)


def extreme_case(name: str, loss: str, row_loss) -> Case:
    """Logits so far apart that a plain exp or log would overflow or give -Infinity."""
    logits = [[100.0, -100.0, 0.0], [-1000.0, 1000.0, 999.0], [3e4, 3e4, -3e4], [0.0, 0.0, 0.0],
              [88.0, -104.0, 89.0]]
    prediction = leaf(torch.tensor(logits))
    target = {
        SPARSE: torch.tensor([1, 1, 0, 2, 0], dtype=torch.int32),
        DENSE: torch.tensor([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0],
                             [0.0, 0.25, 0.75]]),
        BINARY: torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [1.0, 0.5, 0.0], [0.0, 1.0, 0.3],
                              [1.0, 1.0, 0.0]]),
    }[loss]
    losses = row_loss(prediction, target)
    value = losses.mean()
    value.backward()
    tensors = {"prediction": prediction, "target": target, "rows": losses, "value": value,
               "grad.prediction": prediction.grad}
    return Case("loss", name, {"loss": loss, "fromLogits": True}, tensors)


def build() -> list[Case]:
    cases = []
    for name, loss, options, row_loss in LOSSES:
        # Probabilities stay inside the margin when their logits do not spread far.
        scale = 1.2 if options.get("fromLogits") is False else 2.0
        for variant, *shape in VARIANTS:
            cases.append(loss_case(f"{name}-{variant}", loss, options, row_loss, *shape,
                                   scale=scale))
    for name, loss, share, make in more_losses.LOSSES:
        for variant, rows, features, masked, weighted in more_losses.VARIANTS:
            # One class has no gradient but rounding.
            features = features + 1 if loss in (SPARSE, DENSE) else features
            options, row_loss = make(features)
            cases.append(loss_case(f"{name}-{variant}", loss, options, row_loss, rows, features,
                                   masked, weighted, share=share))
    cases += [extreme_case(f"{name}-extreme", loss, row_loss)
              for name, loss, _, row_loss in LOSSES[:3]]
    return cases
