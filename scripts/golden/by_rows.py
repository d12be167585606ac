"""A recurrence in autograd, one sequence after the other and step by step."""

from typing import Callable

import torch
from torch import Tensor

from common import leaf

Tensors = dict[str, Tensor]


def run_by_rows(values: Tensors, states: tuple[str, ...],
                step: Callable[[Tensors, Tensor, Tensors], Tensors]) -> Tensors:
    """Outputs, final states and all gradients: of `dy` in the outputs and `d{state}_n` in the
    final states. step(given, x, before) makes the states of a step from those before it; `given`
    are the values as leaves."""
    given = {key: leaf(value) for key, value in values.items()
             if key != "lengths" and not key.startswith("d")}
    lengths, x = values["lengths"], given["x"]
    outputs, finals, loss = [], {state: [] for state in states}, torch.zeros(())
    for row in range(x.shape[0]):
        before = {state: given[f"{state}0"][0, row] for state in states}
        rows = [torch.zeros_like(before["h"])] * x.shape[1]
        for t in range(int(lengths[row])):
            before = step(given, x[row, t], before)
            rows[t] = before["h"]
            loss = loss + (before["h"] * values["dy"][row, t]).sum()
        for state in states:
            finals[state].append(before[state])
            loss = loss + (before[state] * values[f"d{state}_n"][0, row]).sum()
        outputs.append(torch.stack(rows))
    loss.backward()
    results = {"y": torch.stack(outputs)}
    results |= {f"{state}_n": torch.stack(finals[state])[None] for state in states}
    results |= {f"grad.{key}": value.grad for key, value in given.items()}
    return {key: value.detach() for key, value in results.items()}
