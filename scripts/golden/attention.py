"""Attention over ragged sequences: Bahdanau's additive score, Luong's dot and general ones."""

import torch
from torch import nn

from common import Case, Random, leaf
from layers import draw_parameters


class Attention(nn.Module):
    """queries [B, T, Q], keys [B, S, K] of which `lengths` count, values [B, S, V] to [B, T, V]."""

    def __init__(self, score: str, query: int, key: int, units: int):
        super().__init__()
        self.score = score
        if score == "general":
            self.weight_query = nn.Parameter(torch.empty(key, query))
        if score == "additive":
            self.weight_query = nn.Parameter(torch.empty(units, query))
            self.weight_key = nn.Parameter(torch.empty(units, key))
            self.weight_score = nn.Parameter(torch.empty(units))
            self.bias = nn.Parameter(torch.empty(units))

    def forward(self, queries, keys, values, lengths):
        if self.score == "additive":
            q = nn.functional.linear(queries, self.weight_query, self.bias)
            k = nn.functional.linear(keys, self.weight_key)
            scores = torch.tanh(q[:, :, None] + k[:, None]) @ self.weight_score
        else:
            q = queries
            if self.score == "general":
                q = nn.functional.linear(queries, self.weight_query)
            scores = q @ keys.transpose(1, 2)
        beyond = torch.arange(keys.shape[1])[None] >= lengths[:, None]
        scores = scores.masked_fill(beyond[:, None], float("-inf"))
        return torch.softmax(scores, dim=-1) @ values


def attention(score: str) -> Case:
    random = Random(f"attention {score}")
    batch, steps, source, query, value, units = 3, 4, 6, 5, 3, 7
    key = 5 if score == "dot" else 4
    module = Attention(score, query, key, units)
    draw_parameters(module, random, 0.5)
    queries = leaf(random.normal(batch, steps, query))
    keys = leaf(random.normal(batch, source, key))
    values = leaf(random.normal(batch, source, value))
    lengths = torch.tensor([2, 6, 1], dtype=torch.int32)
    output = module(queries, keys, values, lengths)
    doutput = random.normal(*output.shape)
    (output * doutput).sum().backward()
    tensors = {"queries": queries, "keys": keys, "values": values, "lengths": lengths,
               "output": output, "doutput": doutput, "grad.queries": queries.grad,
               "grad.keys": keys.grad, "grad.values": values.grad}
    for name, parameter in module.named_parameters():
        tensors[f"param.{name}"] = parameter
        tensors[f"grad.param.{name}"] = parameter.grad
    return Case("attention", score, {"units": units}, tensors)


def build() -> list[Case]:
    return [attention(score) for score in ("dot", "general", "additive")]
