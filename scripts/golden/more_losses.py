"""Losses with options, and those that predict distributions, for losses.py.

Each entry makes, for a number of features of the targets, the options by their public names and the
row loss. torch computes values and gradients; focal losses are written out as in torchvision, which
has the binary one.
"""

import torch
from torch import distributions
from torch.nn import functional

LEAST = 1e-6


def class_weights(classes: int) -> list[float]:
    return [0.5 + 0.25 * (j % 5) for j in range(classes)]


def flat(prediction: torch.Tensor) -> torch.Tensor:
    return prediction.reshape(-1, prediction.shape[-1])


def crossentropy(sparse: bool, smoothing: float, weighted: bool):
    def make(classes: int):
        weights = class_weights(classes) if weighted else None
        options = {"fromLogits": True}
        if smoothing:
            options["labelSmoothing"] = smoothing
        if weighted:
            options["classWeights"] = weights

        def rows(prediction, target):
            wanted = target.reshape(-1).long() if sparse else flat(target)
            losses = functional.cross_entropy(
                flat(prediction), wanted, reduction="none", label_smoothing=smoothing,
                weight=torch.tensor(weights) if weighted else None)
            return losses.reshape(prediction.shape[:-1])

        return options, rows

    return make


def binary(smoothing: float, positive: float):
    def make(_):
        def rows(prediction, target):
            smooth = target * (1 - smoothing) + smoothing / 2
            return functional.binary_cross_entropy_with_logits(
                prediction, smooth, reduction="none",
                pos_weight=torch.tensor(positive)).mean(dim=-1)

        return {"fromLogits": True, "labelSmoothing": smoothing,
                "classWeights": [1.0, positive]}, rows

    return make


def binary_focal(gamma: float, alpha: float):
    """torchvision.ops.sigmoid_focal_loss."""
    def make(_):
        def rows(prediction, target):
            p = torch.sigmoid(prediction)
            plain = functional.binary_cross_entropy_with_logits(prediction, target,
                                                                reduction="none")
            right = p * target + (1 - p) * (1 - target)
            share = alpha * target + (1 - alpha) * (1 - target)
            return (share * plain * (1 - right) ** gamma).mean(dim=-1)

        return {"fromLogits": True, "gamma": gamma, "classWeights": [1 - alpha, alpha]}, rows

    return make


def focal(sparse: bool, gamma: float, weighted: bool):
    def make(classes: int):
        weights = class_weights(classes) if weighted else [1.0] * classes
        options = {"fromLogits": True, "gamma": gamma}
        if weighted:
            options["classWeights"] = weights

        def rows(prediction, target):
            if sparse:
                target = functional.one_hot(target.long(), classes).float()
            log_p = torch.log_softmax(prediction, dim=-1)
            hard = (1 - log_p.exp()) ** gamma
            return -(target * torch.tensor(weights) * hard * log_p).sum(dim=-1)

        return options, rows

    return make


def divergence(_):
    def rows(prediction, target):
        return functional.kl_div(torch.log_softmax(prediction, dim=-1), target,
                                 reduction="none").sum(dim=-1)

    return {"fromLogits": True}, rows


def cosine(_):
    return {}, lambda prediction, target: 1 - functional.cosine_similarity(prediction, target,
                                                                           dim=-1)


def quantile(quantiles: list[float]):
    def make(features: int):
        def rows(prediction, target):
            error = target.unsqueeze(-2) - prediction.unflatten(-1, (len(quantiles), features))
            q = torch.tensor(quantiles).unsqueeze(-1)
            return torch.maximum(q * error, (q - 1) * error).mean(dim=(-2, -1))

        return {"quantiles": quantiles}, rows

    return make


def likelihood(parameters: int, make_distribution):
    def make(_):
        def rows(prediction, target):
            blocks = prediction.chunk(parameters, dim=-1)
            return -make_distribution(*blocks).log_prob(target).mean(dim=-1)

        return {}, rows

    return make


def scale(x: torch.Tensor) -> torch.Tensor:
    return functional.softplus(x) + LEAST


def negative_binomial(mean: torch.Tensor, dispersion: torch.Tensor):
    m, a = scale(mean), scale(dispersion)
    return distributions.NegativeBinomial(1 / a, logits=(a * m).log())


SPARSE = "sparseCategoricalCrossentropy"
DENSE = "categoricalCrossentropy"

# Name in the file, loss, predictions for each target, maker.
LOSSES = [
    ("sparse-ce-smooth", SPARSE, 1, crossentropy(True, 0.1, False)),
    ("sparse-ce-classes", SPARSE, 1, crossentropy(True, 0.0, True)),
    ("sparse-ce-smooth-classes", SPARSE, 1, crossentropy(True, 0.2, True)),
    ("dense-ce-smooth", DENSE, 1, crossentropy(False, 0.1, False)),
    ("dense-ce-smooth-classes", DENSE, 1, crossentropy(False, 0.2, True)),
    ("binary-ce-smooth-classes", "binaryCrossentropy", 1, binary(0.1, 3.0)),
    ("binary-focal", "binaryFocalCrossentropy", 1, binary_focal(2.0, 0.25)),
    ("sparse-focal", "sparseCategoricalFocalCrossentropy", 1, focal(True, 2.0, False)),
    ("sparse-focal-classes", "sparseCategoricalFocalCrossentropy", 1, focal(True, 1.0, True)),
    ("dense-focal-classes", "categoricalFocalCrossentropy", 1, focal(False, 3.0, True)),
    ("kl", "klDivergence", 1, divergence),
    ("cosine", "cosine", 1, cosine),
    ("quantile", "quantile", 3, quantile([0.1, 0.5, 0.95])),
    ("gaussian", "gaussian", 2,
     likelihood(2, lambda m, s: distributions.Normal(m, scale(s)))),
    ("student-t", "studentT", 3,
     likelihood(3, lambda m, s, n: distributions.StudentT(2 + functional.softplus(n), m,
                                                          scale(s)))),
    ("negative-binomial", "negativeBinomial", 2, likelihood(2, negative_binomial)),
]

# Name in the file, shape of the rows, features of the targets, with mask, with weights.
VARIANTS = [
    ("rows", (6,), 5, False, False),
    ("steps", (3, 4), 1, False, False),
    ("steps-mask-weights", (4, 3), 18, True, True),
]
