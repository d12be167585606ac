"""A plain state dict as PyTorch users save it, and what its module answers."""

import torch

from common import Case, Random
from models import Tagger, draw_parameters


def build() -> list[Case]:
    random = Random("state dict")
    model = Tagger()
    draw_parameters(model, random)
    tokens = random.integers(3, 8, high=13)
    with torch.no_grad():
        y = model(tokens)
    description = {
        "weights": "data/stateDict/tagger.safetensors",
        "model": {"vocabulary": 13, "embedding": 6, "cell": "lstm", "units": 9, "layers": 2,
                  "bidirectional": True, "outputs": 4},
        "modules": {"embedding": "encoder.emb", "rnn": "encoder.rnn", "head": "head"},
    }
    return [
        Case("stateDict", "tagger", {}, dict(model.state_dict()), bare=True),
        Case("stateDictRun", "tagger", description, {"tokens": tokens, "y": y}),
    ]
