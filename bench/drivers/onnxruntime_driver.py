"""ONNX Runtime. Usage: onnxruntime_driver.py THREADS

Sequential execution with all graph optimisations; inputs and outputs bound once (IOBinding), so that
nothing is copied; in single steps the final states are bound as the next call's initial ones.
"""

import numpy as np
import onnxruntime as ort

from protocol import Unsupported, requested_threads, serve

STATES = {"elman": ["h"], "gru": ["h"], "lstm": ["h", "c"]}


def sequences(y: np.ndarray) -> np.ndarray:
    """[T, D, B, H], as the operators give it, to [T, B, D H]."""
    steps, directions, batch, units = y.shape
    return y.transpose(0, 2, 1, 3).reshape(steps, batch, directions * units)


class LayerJob:
    """Inference over whole sequences."""

    def __init__(self, session: ort.InferenceSession, tensors: dict):
        self.session = session
        self.x = ort.OrtValue.ortvalue_from_numpy(tensors["x"])
        self.binding = session.io_binding()
        self.binding.bind_ortvalue_input("x", self.x)
        self.binding.bind_output("y")

    def run(self) -> None:
        self.session.run_with_iobinding(self.binding)

    def check(self) -> dict:
        self.run()
        return {"y": sequences(self.binding.get_outputs()[0].numpy())}


class StepJob:
    """One step of a stream."""

    def __init__(self, session: ort.InferenceSession, case: dict, tensors: dict):
        self.session = session
        self.x = tensors["x"]
        self.input = ort.OrtValue.ortvalue_from_numpy(self.x[:1])
        shape = (1, case["B"], case["H"])
        self.states = [{s: ort.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))
                        for s in STATES[case["cell"]]} for _ in range(2)]
        self.y = ort.OrtValue.ortvalue_from_numpy(np.zeros((1, *shape), np.float32))
        self.bindings = []
        for turn in range(2):
            binding = session.io_binding()
            binding.bind_ortvalue_input("x", self.input)
            binding.bind_ortvalue_output("y", self.y)
            for name in STATES[case["cell"]]:
                binding.bind_ortvalue_input(f"{name}0", self.states[turn][name])
                binding.bind_ortvalue_output(f"{name}n", self.states[1 - turn][name])
            self.bindings.append(binding)
        self.at = self.turn = 0

    def run(self) -> None:
        self.input.update_inplace(self.x[self.at : self.at + 1])
        self.session.run_with_iobinding(self.bindings[self.turn])
        self.turn = 1 - self.turn
        self.at = (self.at + 1) % len(self.x)

    def check(self) -> dict:
        outputs = []
        for _ in range(len(self.x)):
            self.run()
            outputs.append(sequences(self.y.numpy())[0].copy())
        return {"y": np.stack(outputs)}


class Driver:
    def describe(self) -> dict:
        return {"version": ort.__version__, "settings": " ".join(__doc__.split("\n\n")[1].split())}

    def prepare(self, case: dict, tensors: dict, request: dict):
        if case["phase"] not in ("inference", "step"):
            raise Unsupported("no training")
        options = ort.SessionOptions()
        options.intra_op_num_threads = case["threads"]
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        session = ort.InferenceSession(request["onnx"], options, ["CPUExecutionProvider"])
        if case["phase"] == "step":
            return StepJob(session, case, tensors)
        return LayerJob(session, tensors)


if __name__ == "__main__":
    requested_threads()
    serve(Driver())
