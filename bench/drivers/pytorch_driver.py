"""PyTorch on the CPU. Usage: pytorch_driver.py THREADS [--padded]

Time-major tensors, which is its fastest layout; `inference_mode` for what needs no gradient;
`zero_grad(set_to_none=True)`; steps through `nn.LSTMCell` and the like, which are faster there than
the layers; the fused Adam. Ragged batches are PackedSequence, or with --padded they run at their
full length with a zero gradient beyond a row's end, which gives the same results for one direction.
"""

import sys

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from protocol import Unsupported, padding_cleared, requested_threads, serve

LAYERS = {"elman": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
CELLS = {"elman": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


def make_layer(case: dict, tensors: dict, **options) -> nn.Module:
    layer = LAYERS[case["cell"]](case["I"], case["H"], num_layers=case["layers"],
                                 bidirectional=case["bidirectional"], **options)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(torch.from_numpy(tensors[name]))
    return layer


class LayerJob:
    """Inference or training of one layer."""

    def __init__(self, case: dict, tensors: dict, padded: bool):
        self.trains = case["phase"] != "inference"
        self.layer = make_layer(case, tensors).train(self.trains)
        self.x = torch.from_numpy(tensors["x"]).requires_grad_(self.trains)
        self.dy = torch.from_numpy(tensors["dy"]) if self.trains else None
        ragged = case["phase"] == "ragged"
        self.lengths = tensors["lengths"].astype(np.int64) if ragged else None
        self.packed = ragged and not padded
        self.steps = case["T"]
        if ragged and padded and case["bidirectional"]:
            raise Unsupported("only one direction can be padded")

    def forward(self):
        if not self.packed:
            return self.layer(self.x)[0]
        rows = pack_padded_sequence(self.x, torch.from_numpy(self.lengths), enforce_sorted=False)
        return pad_packed_sequence(self.layer(rows)[0], total_length=self.steps)[0]

    def run(self):
        if not self.trains:
            with torch.inference_mode():
                return self.layer(self.x)[0]
        self.x.grad = None
        self.layer.zero_grad(set_to_none=True)
        y = self.forward()
        y.backward(self.dy)
        return y

    def check(self) -> dict:
        results = {"y": padding_cleared(self.run().detach().numpy(), self.lengths)}
        if self.trains:
            results["grad.x"] = self.x.grad.numpy()
            for name, parameter in self.layer.named_parameters():
                results[f"grad.{name}"] = parameter.grad.numpy()
        return results


class StepJob:
    """One step of a stream."""

    def __init__(self, case: dict, tensors: dict):
        if case["layers"] > 1:
            raise Unsupported("steps of one layer only")
        self.cell = CELLS[case["cell"]](case["I"], case["H"]).eval()
        with torch.no_grad():
            for name, parameter in self.cell.named_parameters():
                parameter.copy_(torch.from_numpy(tensors[f"{name}_l0"]))
        self.x = torch.from_numpy(tensors["x"])
        self.state, self.at = None, 0

    def run(self):
        with torch.inference_mode():
            self.state = self.cell(self.x[self.at], self.state)
        self.at = (self.at + 1) % len(self.x)
        return self.state[0] if isinstance(self.state, tuple) else self.state

    def check(self) -> dict:
        self.state, self.at = None, 0
        return {"y": np.stack([self.run().numpy() for _ in range(len(self.x))])}


class FitJob:
    """An epoch of training: layer, its last step, a linear layer, mean squared error, Adam."""

    def __init__(self, case: dict, tensors: dict):
        self.layer = make_layer(case, tensors, batch_first=True, bias=False)
        self.x = torch.from_numpy(tensors["x"]).split(case["B"])
        self.target = torch.from_numpy(tensors["target"]).split(case["B"])
        self.head = nn.Linear(case["H"], tensors["target"].shape[1])
        with torch.no_grad():
            for name, parameter in self.head.named_parameters():
                parameter.copy_(torch.from_numpy(tensors[f"head.{name}"]))
        parameters = [*self.layer.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=case["learningRate"], fused=True)
        self.loss = nn.MSELoss()

    def run(self) -> None:
        for x, target in zip(self.x, self.target):
            self.optimizer.zero_grad(set_to_none=True)
            y = self.head(self.layer(x)[0][:, -1])
            self.loss(y, target).backward()
            self.optimizer.step()

    def check(self) -> dict:
        self.run()
        results = {name: p.detach().numpy() for name, p in self.layer.named_parameters()}
        results |= {f"head.{name}": p.detach().numpy() for name, p in self.head.named_parameters()}
        return results


class Driver:
    def __init__(self, padded: bool):
        self.padded = padded

    def describe(self) -> dict:
        return {"version": torch.__version__, "settings": " ".join(__doc__.split("\n\n")[1].split())}

    def prepare(self, case: dict, tensors: dict, _request: dict):
        if self.padded and case["phase"] != "ragged":
            raise Unsupported("for ragged batches only")
        if case["phase"] == "step":
            return StepJob(case, tensors)
        if case["phase"] == "fit":
            return FitJob(case, tensors)
        return LayerJob(case, tensors, self.padded)


if __name__ == "__main__":
    torch.set_num_threads(requested_threads())
    serve(Driver("--padded" in sys.argv))
