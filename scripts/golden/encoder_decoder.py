"""An encoder-decoder with Luong's attention: a bidirectional encoder over ragged sources, whose final
states a decoder over ragged targets begins with, by way of a dense layer for each state."""

import torch
from torch import nn

from common import Case, Random
from layers import draw_parameters

VOCAB = 7  # of the source
TOKENS = 6  # of the target, the last two of which are start and end
UNITS = 5


class EncoderDecoder(nn.Module):
    def __init__(self, cell: str, layers: int):
        super().__init__()
        recurrent = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.cell, self.layers = cell, layers
        self.source_embedding = nn.Embedding(VOCAB, 4)
        self.target_embedding = nn.Embedding(TOKENS, 3)
        self.encoder = recurrent(4, UNITS, layers, bidirectional=True, batch_first=True)
        self.decoder = recurrent(3, UNITS, layers, batch_first=True)
        self.bridge_h = nn.Linear(2 * layers * UNITS, layers * UNITS)
        if cell == "lstm":
            self.bridge_c = nn.Linear(2 * layers * UNITS, layers * UNITS)
        self.attention = nn.Linear(UNITS, 2 * UNITS, bias=False)
        self.attentional = nn.Linear(3 * UNITS, UNITS)
        self.output = nn.Linear(UNITS, TOKENS)

    def bridge(self, state, layer, activation):
        # [slots, B, H] to rows with the slots side by side, and back.
        rows = activation(layer(state.transpose(0, 1).flatten(1)))
        return rows.unflatten(1, (self.layers, UNITS)).transpose(0, 1).contiguous()

    def forward(self, source, lengths, target):
        packed = nn.utils.rnn.pack_padded_sequence(
            self.source_embedding(source), lengths.long(), batch_first=True, enforce_sorted=False)
        memory, state = self.encoder(packed)
        memory, _ = nn.utils.rnn.pad_packed_sequence(memory, batch_first=True)
        if self.cell == "lstm":
            state = (self.bridge(state[0], self.bridge_h, torch.tanh),
                     self.bridge(state[1], self.bridge_c, lambda rows: rows))
        else:
            state = self.bridge(state, self.bridge_h, torch.tanh)
        decoded, _ = self.decoder(self.target_embedding(target), state)
        scores = self.attention(decoded) @ memory.transpose(1, 2)
        beyond = torch.arange(memory.shape[1])[None] >= lengths[:, None]
        weights = torch.softmax(scores.masked_fill(beyond[:, None], float("-inf")), dim=-1)
        both = torch.cat([weights @ memory, decoded], dim=-1)
        return self.output(torch.tanh(self.attentional(both)))


def encoder_decoder(cell: str, layers: int) -> Case:
    random = Random(f"encoder decoder {cell}")
    module = EncoderDecoder(cell, layers)
    draw_parameters(module, random, 0.5)
    lengths = torch.tensor([3, 1, 4], dtype=torch.int32)
    target_lengths = torch.tensor([2, 5, 3], dtype=torch.int32)
    source = random.integers(3, 4, high=VOCAB)
    target = random.integers(3, 5, high=TOKENS)
    label = random.integers(3, 5, high=TOKENS)
    logits = module(source, lengths, target)
    inside = torch.arange(5)[None] < target_lengths[:, None]
    loss = nn.functional.cross_entropy(logits[inside], label[inside].long())
    loss.backward()
    tensors = {"source": source, "lengths": lengths, "target": target, "label": label,
               "targetLengths": target_lengths, "logits": logits * inside[:, :, None],
               "loss": loss}
    for name, parameter in module.named_parameters():
        tensors[f"param.{name}"] = parameter
        tensors[f"grad.param.{name}"] = parameter.grad
    description = {"cell": cell, "layers": layers, "units": UNITS, "vocab": VOCAB, "tokens": TOKENS}
    return Case("encoderDecoder", cell, description, tensors)


def build() -> list[Case]:
    return [encoder_decoder("lstm", 2), encoder_decoder("gru", 1)]
