"""The small networks whose training is recorded."""

import torch
from torch import nn

from common import Random


class TokenModel(nn.Module):
    """Tokens [B, T] to logits [B, T, vocabulary]: embedding, recurrent layer, linear."""

    def __init__(self, rnn: type, vocabulary: int, embedding: int, units: int, layers: int):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.rnn = rnn(embedding, units, num_layers=layers, batch_first=True)
        self.head = nn.Linear(units, vocabulary)

    def forward(self, tokens: torch.Tensor, states=None):
        y, states = self.rnn(self.embedding(tokens), states)
        return self.head(y), states


class LastStepModel(nn.Module):
    """x [B, T, I] to [B, outputs]: recurrent layer, its last step, linear."""

    def __init__(self, rnn: type, inputs: int, units: int, outputs: int):
        super().__init__()
        self.rnn = rnn(inputs, units, batch_first=True)
        self.head = nn.Linear(units, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.rnn(x)
        return self.head(y[:, -1])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(13, 6)
        self.rnn = nn.LSTM(6, 9, num_layers=2, bidirectional=True, batch_first=True)


class Tagger(nn.Module):
    """Submodules within submodules, for names such as encoder.rnn.weight_ih_l0."""

    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.head = nn.Linear(18, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        y, _ = self.encoder.rnn(self.encoder.emb(tokens))
        return self.head(y)


def draw_parameters(model: nn.Module, random: Random) -> None:
    """Embeddings from N(0, 1), all others uniform up to 1/sqrt of their columns (biases: 0.2)."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.split(".")[-2] in ("embedding", "emb"):
                parameter.copy_(random.normal(*parameter.shape))
                continue
            bound = parameter.shape[1] ** -0.5 if parameter.dim() > 1 else 0.2
            parameter.copy_(random.uniform(*parameter.shape, low=-bound, high=bound))


def named_copies(model: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    return {f"{prefix}.{name}": value.detach().clone() for name, value in model.named_parameters()}
