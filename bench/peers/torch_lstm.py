"""Times one recurrent layer of PyTorch on the CPU, alone or line by line beside another library.

  python torch_lstm.py T B I H cell threads repetitions
  python torch_lstm.py --loop --threads 2

Shapes: T steps, B batch, I inputs, H units; cell is lstm, gru, rnn_tanh or rnn_relu. The layout is
PyTorch's own, [T, B, I], which is its fastest. "inference" is the forward pass under no_grad;
"training" is forward and backward with the gradients of all parameters and of the inputs, and no
optimiser. The first form prints one JSON line with the median and the least of `repetitions` runs,
in milliseconds, of both.

--loop reads a JSON line at a time from standard input and answers each with one on standard output:
  {"phase": "training", "T": 64, "B": 32, "I": 256, "H": 256, "cell": "lstm", "repeat": 5}
  {"times_ms": [...]}
so that a caller can take turns between libraries on a machine whose speed drifts. "repeat" is 1 by
default. A line that cannot be carried out is answered with {"error": "..."}, and the loop goes on;
it ends with the input. A layer is kept, warm, between lines of the same sizes.
"""

import argparse
import json
import statistics
import sys
import time
from functools import lru_cache

import torch
from torch import nn

CELLS = {
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "rnn_tanh": lambda inputs, units: nn.RNN(inputs, units, nonlinearity="tanh"),
    "rnn_relu": lambda inputs, units: nn.RNN(inputs, units, nonlinearity="relu"),
}
SIZES = ("T", "B", "I", "H")
WARM_UP_RUNS = 3


class Layer:
    """One layer with inputs and an upstream gradient of fixed sizes."""

    def __init__(self, steps: int, batch: int, inputs: int, units: int, cell: str):
        torch.manual_seed(1)
        self.module = CELLS[cell](inputs, units)
        self.x = torch.randn(steps, batch, inputs, requires_grad=True)
        self.dy = torch.randn(steps, batch, units)
        self.warm: set[str] = set()

    def inference(self) -> None:
        with torch.no_grad():
            self.module(self.x)

    def training(self) -> None:
        y, _ = self.module(self.x)
        y.backward(self.dy)
        self.module.zero_grad(set_to_none=True)
        self.x.grad = None

    def times(self, phase: str, repeat: int) -> list[float]:
        """Milliseconds of each run, after a warm-up the first time."""
        run = {"inference": self.inference, "training": self.training}[phase]
        self.module.train(phase == "training")
        if phase not in self.warm:
            for _ in range(WARM_UP_RUNS):
                run()
            self.warm.add(phase)
        milliseconds = []
        for _ in range(repeat):
            begin = time.perf_counter()
            run()
            milliseconds.append((time.perf_counter() - begin) * 1e3)
        return milliseconds


@lru_cache(maxsize=8)
def layer_of(steps: int, batch: int, inputs: int, units: int, cell: str) -> Layer:
    return Layer(steps, batch, inputs, units, cell)


def positive(name: str, value) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f'Expected a positive integer for "{name}" but received {value!r}')
    return value


def answer(request: dict) -> dict:
    """The reply to one request; throws ValueError for one that makes no sense."""
    sizes = [positive(name, request.get(name)) for name in SIZES]
    cell, phase = request.get("cell"), request.get("phase")
    for name, value, known in (("cell", cell, list(CELLS)),
                               ("phase", phase, ["inference", "training"])):
        if value not in known:
            raise ValueError(f'Expected one of {", ".join(known)} for "{name}" '
                             f"but received {value!r}")
    repeat = positive("repeat", request.get("repeat", 1))
    return {"times_ms": layer_of(*sizes, cell).times(phase, repeat)}


def serve() -> None:
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise ValueError(f"Expected an object but received {request!r}")
            reply = answer(request)
        except (ValueError, RuntimeError) as error:
            reply = {"error": str(error)}
        print(json.dumps(reply), flush=True)


def measure(sizes: list[int], cell: str, repetitions: int) -> dict:
    request = {**dict(zip(SIZES, sizes)), "cell": cell, "repeat": repetitions}
    result = {"library": "torch", "version": torch.__version__, **request,
              "threads": torch.get_num_threads()}
    for phase in ("inference", "training"):
        times = answer({**request, "phase": phase})["times_ms"]
        result[phase] = {"median_ms": statistics.median(times), "min_ms": min(times)}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loop", action="store_true", help="answer JSON lines")
    parser.add_argument("--threads", type=int, default=1, help="threads of --loop (default 1)")
    parser.add_argument("case", nargs="*", metavar="T B I H cell threads repetitions")
    arguments = parser.parse_args()
    torch.set_num_threads(positive("threads", arguments.threads))
    if arguments.loop:
        if arguments.case:
            parser.error("--loop takes its cases from standard input")
        serve()
        return
    if len(arguments.case) != 7:
        parser.error("expected T B I H cell threads repetitions")
    *sizes, cell, threads, repetitions = arguments.case
    try:
        torch.set_num_threads(positive("threads", int(threads)))
        print(json.dumps(measure([int(size) for size in sizes], cell, int(repetitions))))
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
