"""Cases of connectionist temporal classification, from torch.nn.functional.ctc_loss."""

import torch
from torch.nn import functional

from common import Case, Random, leaf

# Name in the file, classes, blank, lengths of the inputs, label sequences.
CASES = [
    ("one", 5, 0, [6], [[1, 2, 3]]),
    ("repeats", 4, 0, [9, 5], [[1, 1, 2, 2], [3, 3, 3]]),
    ("ragged", 7, 0, [12, 4, 1, 8], [[6, 5, 4, 3, 2], [1], [2], []]),
    ("last-blank", 6, 5, [7, 10], [[0, 1, 0], [4, 4, 0, 0, 2]]),
    ("long", 29, 0, [120, 80], [[1 + (7 * i) % 28 for i in range(40)], [3] * 20]),
    ("tight", 3, 1, [5, 3], [[0, 0, 2, 0], [2, 2]]),
]


def ctc_case(name: str, classes: int, blank: int, lengths: list[int],
             labels: list[list[int]]) -> Case:
    random = Random(f"ctc {name}")
    batch, steps = len(lengths), max(lengths)
    prediction = leaf(random.normal(batch, steps, classes, scale=1.5))
    # In double precision: in single, PyTorch's own gradients of long sequences are off by 4e-5.
    log_p = torch.log_softmax(prediction.double(), dim=-1).transpose(0, 1)
    flat = torch.tensor([label for row in labels for label in row], dtype=torch.long)
    rows = functional.ctc_loss(log_p, flat, torch.tensor(lengths),
                               torch.tensor([len(row) for row in labels]), blank=blank,
                               reduction="none")
    value = rows.mean()
    value.backward()
    longest = max(len(row) for row in labels)
    target = torch.tensor([row + [blank] * (longest - len(row)) for row in labels],
                          dtype=torch.int32)
    tensors = {"prediction": prediction, "lengths": torch.tensor(lengths, dtype=torch.int32),
               "target": target, "rows": rows.float(), "value": value.float(),
               "grad.prediction": prediction.grad}
    return Case("ctc", name, {"blank": blank}, tensors)


def build() -> list[Case]:
    return [ctc_case(*row) for row in CASES]
