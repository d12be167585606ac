"""Forward passes of layers in NumPy, from the equations: what verify.py compares files with.

Each takes a case's description and its tensors in double precision, and gives the output.
"""

import math

import numpy as np


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def softmax(a):
    e = np.exp(a - a.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


ACTIVATIONS = {
    "linear": lambda a: a,
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "sigmoid": sigmoid,
    "softmax": softmax,
    "gelu": lambda a: a * 0.5 * (1 + np.vectorize(math.erf)(a / math.sqrt(2))),
    "silu": lambda a: a * sigmoid(a),
}


def dense(case: dict, t: dict[str, np.ndarray]) -> np.ndarray:
    return ACTIVATIONS[case["activation"]](t["x"] @ t["weight"].T + t.get("bias", 0.0))


def rms_norm(case: dict, t: dict[str, np.ndarray]) -> np.ndarray:
    square = (t["x"] ** 2).mean(-1, keepdims=True)
    return t["x"] / np.sqrt(square + case["epsilon"]) * t["weight"]


def glu(case: dict, t: dict[str, np.ndarray]) -> np.ndarray:
    both = t["x"] if case["units"] is None else t["x"] @ t["weight"].T + t.get("bias", 0.0)
    a, b = np.split(both, 2, axis=-1)
    return a * sigmoid(b)


def highway(case: dict, t: dict[str, np.ndarray]) -> np.ndarray:
    h = ACTIVATIONS[case["activation"]](t["x"] @ t["h.weight"].T + t["h.bias"])
    gate = sigmoid(t["x"] @ t["t.weight"].T + t["t.bias"])
    return gate * h + (1 - gate) * t["x"]


def pooling(case: dict, t: dict[str, np.ndarray]) -> np.ndarray:
    y = np.zeros((len(t["x"]), t["x"].shape[2]))
    for row, length in enumerate(t["lengths"]):
        if length > 0:
            steps = t["x"][row, :length]
            y[row] = steps.mean(0) if case["pooling"] == "average" else steps.max(0)
    return y


def pooling1d(case: dict, t: dict[str, np.ndarray]) -> np.ndarray:
    size, stride = case["poolSize"], case["strides"]
    y = np.zeros(t["y"].shape)
    for row, length in enumerate(t["lengths"]):
        for step, begin in enumerate(range(0, length - size + 1, stride)):
            steps = t["x"][row, begin : begin + size]
            y[row, step] = steps.mean(0) if case["pooling"] == "average" else steps.max(0)
    return y


def conv1d(case: dict, t: dict[str, np.ndarray]) -> np.ndarray:
    """Every sum written out: output step by tap, zeros before the first step."""
    x, weight, dilation = t["x"], t["weight"], case["dilation"]
    y = np.zeros((*x.shape[:2], len(weight)))
    for row, length in enumerate(t["lengths"]):
        for step in range(length):
            a = np.array(t["bias"])
            for tap in range(weight.shape[2]):
                at = step - (weight.shape[2] - 1 - tap) * dilation
                if at < 0:
                    continue
                if case["filters"] is None:
                    a = a + weight[:, 0, tap] * x[row, at]
                else:
                    a = a + weight[:, :, tap] @ x[row, at]
            y[row, step] = ACTIVATIONS[case["activation"]](a)
    return y


def attention(case: dict, t: dict[str, np.ndarray]) -> np.ndarray:
    """Query by query, over the steps that each row has."""
    queries, keys, values = t["queries"], t["keys"], t["values"]
    y = np.zeros((*queries.shape[:2], values.shape[2]))
    for row, length in enumerate(t["lengths"]):
        for step, query in enumerate(queries[row]):
            own = keys[row, :length]
            if case["name"] == "dot":
                scores = own @ query
            elif case["name"] == "general":
                scores = own @ (t["param.weight_query"] @ query)
            else:
                inner = t["param.weight_query"] @ query + t["param.bias"]
                scores = np.tanh(inner + own @ t["param.weight_key"].T) @ t["param.weight_score"]
            y[row, step] = softmax(scores) @ values[row, :length]
    return y


FORWARD = {"dense": dense, "rmsNorm": rms_norm, "glu": glu, "highway": highway,
           "pooling": pooling, "pooling1d": pooling1d, "conv1d": conv1d, "attention": attention}
