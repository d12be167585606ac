"""JAX on the CPU. Usage: jax_driver.py THREADS

One `jit` around everything; the input projection of all steps as one product, then `lax.scan`;
training is `vjp` within the same `jit`. Ragged batches run at their full length with a zero gradient
beyond a row's end. Its threads follow the processors that the process may use. Adam is written out.
"""

import numpy as np

from protocol import Unsupported, limit_processors, padding_cleared, requested_threads, serve

limit_processors(requested_threads())  # before the import: the pool is made then

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from jax import lax, nn  # noqa: E402


def elman(state, x, w, b):
    h = jnp.tanh(x + state[0] @ w + b)
    return (h,)


def lstm(state, x, w, b):
    h, c = state
    i, f, g, o = jnp.split(x + h @ w + b, 4, axis=-1)
    c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
    return nn.sigmoid(o) * jnp.tanh(c), c


def gru(state, x, w, b):
    (h,) = state
    xr, xz, xn = jnp.split(x, 3, axis=-1)
    hr, hz, hn = jnp.split(h @ w + b, 3, axis=-1)
    z = nn.sigmoid(xz + hz)
    n = jnp.tanh(xn + nn.sigmoid(xr + hr) * hn)
    return ((1 - z) * n + z * h,)


CELLS = {"elman": (elman, 1), "lstm": (lstm, 2), "gru": (gru, 1)}


def weights_of(tensors: dict) -> dict:
    """Matrices transposed, so that products read them in order."""
    return {name: jnp.asarray(value.T) for name, value in tensors.items()
            if name.startswith(("weight_", "bias_"))}


def direction(case: dict, params: dict, x, suffix: str):
    """x [T, B, I] to [T, B, H]."""
    cell, states = CELLS[case["cell"]]
    w_ih, w_hh = params[f"weight_ih{suffix}"], params[f"weight_hh{suffix}"]
    b_ih, b_hh = params.get(f"bias_ih{suffix}", 0), params.get(f"bias_hh{suffix}", 0)
    zeros = jnp.zeros((x.shape[1], case["H"]), x.dtype)

    def step(state, projected):
        state = cell(state, projected, w_hh, b_hh)
        return state, state[0]

    reverse = suffix.endswith("_reverse")
    return lax.scan(step, (zeros,) * states, x @ w_ih + b_ih, reverse=reverse)[1]


def layer(case: dict, params: dict, x):
    for level in range(case["layers"]):
        outputs = [direction(case, params, x, f"_l{level}")]
        if case["bidirectional"]:
            outputs.append(direction(case, params, x, f"_l{level}_reverse"))
        x = jnp.concatenate(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
    return x


class LayerJob:
    """Inference or training of one layer."""

    def __init__(self, case: dict, tensors: dict):
        self.params, self.x = weights_of(tensors), jnp.asarray(tensors["x"])
        self.trains = case["phase"] != "inference"
        self.lengths = tensors["lengths"] if case["phase"] == "ragged" else None
        if not self.trains:
            self.call = jax.jit(lambda params, x: layer(case, params, x))
            return
        self.dy = jnp.asarray(tensors["dy"])

        @jax.jit
        def gradients(params, x, dy):
            y, pull = jax.vjp(lambda p, v: layer(case, p, v), params, x)
            return y, *pull(dy)

        self.call = gradients

    def run(self):
        arguments = (self.params, self.x, self.dy) if self.trains else (self.params, self.x)
        return jax.block_until_ready(self.call(*arguments))

    def check(self) -> dict:
        if not self.trains:
            return {"y": self.run()}
        y, params, x = self.run()
        results = {f"grad.{name}": np.asarray(value).T for name, value in params.items()}
        return {"y": padding_cleared(np.asarray(y), self.lengths), "grad.x": x, **results}


class StepJob:
    """One step of a stream."""

    def __init__(self, case: dict, tensors: dict):
        params, self.x = weights_of(tensors), [jnp.asarray(x) for x in tensors["x"]]
        cell, states = CELLS[case["cell"]]
        self.zeros = (jnp.zeros((case["B"], case["H"]), jnp.float32),) * states

        @jax.jit
        def step(state, x):
            projected = x @ params["weight_ih_l0"] + params["bias_ih_l0"]
            return cell(state, projected, params["weight_hh_l0"], params["bias_hh_l0"])

        self.call, self.state, self.at = step, self.zeros, 0

    def run(self):
        self.state = jax.block_until_ready(self.call(self.state, self.x[self.at]))
        self.at = (self.at + 1) % len(self.x)
        return self.state[0]

    def check(self) -> dict:
        self.state, self.at = self.zeros, 0
        return {"y": np.stack([np.asarray(self.run()) for _ in self.x])}


class FitJob:
    """An epoch of training: layer, its last step, a dense layer, mean squared error, Adam."""

    def __init__(self, case: dict, tensors: dict):
        batches, rate, beta1, beta2 = case["batches"], case["learningRate"], 0.9, 0.999
        x = tensors["x"].reshape(batches, case["B"], case["T"], case["I"])
        self.x = [jnp.asarray(part) for part in np.ascontiguousarray(x.transpose(0, 2, 1, 3))]
        self.target = [jnp.asarray(part) for part in
                       tensors["target"].reshape(batches, case["B"], -1)]
        head = {"head.weight": jnp.asarray(tensors["head.weight"].T),
                "head.bias": jnp.asarray(tensors["head.bias"])}
        self.params = weights_of(tensors) | head
        zeros = jax.tree.map(jnp.zeros_like, self.params)
        self.slots = (zeros, zeros, jnp.float32(0))

        def loss(params, x, target):
            y = layer(case, params, x)[-1] @ params["head.weight"] + params["head.bias"]
            return jnp.mean((y - target) ** 2)

        @jax.jit
        def update(params, slots, x, target):
            m, v, count = slots
            gradients = jax.grad(loss)(params, x, target)
            count = count + 1
            m = jax.tree.map(lambda a, g: beta1 * a + (1 - beta1) * g, m, gradients)
            v = jax.tree.map(lambda a, g: beta2 * a + (1 - beta2) * g * g, v, gradients)
            scale, root = rate / (1 - beta1**count), jnp.sqrt(1 - beta2**count)
            params = jax.tree.map(
                lambda p, a, b: p - scale * a / (jnp.sqrt(b) / root + 1e-8), params, m, v)
            return params, (m, v, count)

        self.update = update

    def run(self) -> None:
        for x, target in zip(self.x, self.target):
            self.params, self.slots = self.update(self.params, self.slots, x, target)
        jax.block_until_ready(self.params)

    def check(self) -> dict:
        self.run()
        return {name: np.asarray(value).T for name, value in self.params.items()}


class Driver:
    def describe(self) -> dict:
        return {"version": jax.__version__, "settings": " ".join(__doc__.split("\n\n")[1].split())}

    def prepare(self, case: dict, tensors: dict, _request: dict):
        if case["phase"] == "ragged" and case["bidirectional"]:
            raise Unsupported("only one direction can be padded")
        if case["phase"] == "step":
            if case["layers"] > 1:
                raise Unsupported("steps of one layer only")
            return StepJob(case, tensors)
        if case["phase"] == "fit":
            return FitJob(case, tensors)
        return LayerJob(case, tensors)


if __name__ == "__main__":
    serve(Driver())
