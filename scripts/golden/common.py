"""What all kinds of golden cases share: seeded numbers, the case itself, and how it is stored.

Shapes everywhere: T steps, B batch rows, I inputs, H units, C classes or features.
"""

import hashlib
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save


def configure() -> None:
    """One thread and deterministic algorithms, so that two runs give the same bytes."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_default_dtype(torch.float32)


class Random:
    """Numbers that depend on a name alone, so that adding a case changes no other case."""

    def __init__(self, name: str):
        self._generator = np.random.Generator(np.random.Philox(zlib.crc32(name.encode())))

    def normal(self, *shape: int, scale: float = 1.0, mean: float = 0.0) -> torch.Tensor:
        values = mean + scale * self._generator.standard_normal(shape)
        return torch.from_numpy(np.asarray(values, dtype=np.float32))

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        values = self._generator.uniform(low, high, shape)
        return torch.from_numpy(np.asarray(values, dtype=np.float32))

    def integers(self, *shape: int, low: int = 0, high: int) -> torch.Tensor:
        """int32 in low ... high - 1."""
        values = self._generator.integers(low, high, shape)
        return torch.from_numpy(np.asarray(values, dtype=np.int32))

    def choice(self, options):
        return options[int(self._generator.integers(0, len(options)))]

    def shuffled(self, options) -> list:
        return [options[i] for i in self._generator.permutation(len(options))]


@dataclass
class Case:
    """One file: named tensors, and a description that goes into the header as JSON."""

    kind: str
    name: str
    description: dict
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    # A bare state dict carries what PyTorch's tools write, {"format": "pt"}, and no description.
    bare: bool = False

    @property
    def file(self) -> str:
        return f"{self.kind}/{self.name}.safetensors"

    def metadata(self) -> dict[str, str]:
        # One key only: the safetensors writer does not keep the order of several.
        if self.bare:
            return {"format": "pt"}
        case = {"kind": self.kind, "name": self.name, **self.description}
        return {"case": json.dumps(case, separators=(",", ":"))}

    def serialized(self) -> bytes:
        arrays = {
            # Not ascontiguousarray, which would turn a scalar into one row.
            name: np.asarray(tensor.detach().numpy(), order="C")
            for name, tensor in self.tensors.items()
        }
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"{self.file}: {name} is not finite")
        return save(arrays, self.metadata())


def write_cases(cases: list[Case], root: Path) -> int:
    """Writes root/data/<kind>/<name>.safetensors and root/index.json; returns the bytes of data.

    Files that are there stay as they are.
    """
    entries = []
    for case in cases:
        path = root / "data" / case.file
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(case.serialized())
        data = path.read_bytes()
        entries.append(
            {
                "file": f"data/{case.file}",
                "kind": case.kind,
                "name": case.name,
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
        )
    if len({entry["file"] for entry in entries}) != len(entries):
        raise ValueError("two cases share a file name")
    index = {"torch": torch.__version__, "numpy": np.__version__, "files": entries}
    (root / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    return sum(entry["bytes"] for entry in entries)


def leaf(tensor: torch.Tensor) -> torch.Tensor:
    """A copy that collects a gradient."""
    return tensor.detach().clone().requires_grad_(True)
