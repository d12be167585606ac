"""Makes all golden vectors, or checks that they can be made again.

  python scripts/golden/make.py                  writes test/golden/data and test/golden/index.json
  python scripts/golden/make.py --out DIR        writes the same tree elsewhere
  python scripts/golden/make.py --missing        writes only files that are not there, and the index
  python scripts/golden/make.py --check          makes them in memory and compares with the files

--check demands equal bytes unless --tolerance is given, which on another processor (where
PyTorch sums in another order) compares the numbers instead.
"""

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load

import attention
import ctc
import curves
import defined
import encoder_decoder
import graph
import layers
import losses
import more_layers
import normalized
import optimizers
import recurrent
import schedules
import state_dict
from common import Case, configure, write_cases

ROOT = Path(__file__).resolve().parents[2] / "test" / "golden"
LIMIT = 6 * 1024 * 1024


def build_all() -> list[Case]:
    parts = (recurrent, defined, normalized, layers, more_layers, graph, attention, encoder_decoder,
             losses, ctc, optimizers, schedules, curves, state_dict)
    return [case for part in parts for case in part.build()]


def difference(left: bytes, right: bytes) -> float:
    """The largest absolute difference of two files' tensors; infinity where they do not match."""
    a, b = load(left), load(right)
    if {k: v.shape for k, v in a.items()} != {k: v.shape for k, v in b.items()}:
        return float("inf")
    gaps = [np.abs(a[key].astype(np.float64) - b[key]).max() for key in a if a[key].size]
    return float(max(gaps, default=0.0))


def check(cases: list[Case], root: Path, tolerance: float | None) -> int:
    """Prints each file that differs; returns how many do."""
    bad = 0
    for case in cases:
        path = root / "data" / case.file
        made = case.serialized()
        if not path.exists():
            print(f"missing: {case.file}")
            bad += 1
            continue
        stored = path.read_bytes()
        gap = 0.0 if made == stored else difference(made, stored)
        if made != stored and (tolerance is None or not gap <= tolerance):
            print(f"differs by {gap:.3g}: {case.file}")
            bad += 1
    expected = {case.file for case in cases}
    for path in sorted((root / "data").rglob("*.safetensors")):
        if str(path.relative_to(root / "data")) not in expected:
            print(f"not made by this script: {path.relative_to(root)}")
            bad += 1
    print(f"{len(cases)} files checked, {bad} differ")
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT)
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--tolerance", type=float)
    arguments = parser.parse_args()
    configure()
    cases = build_all()
    if arguments.check:
        return 1 if check(cases, arguments.out, arguments.tolerance) else 0
    if not arguments.missing:
        shutil.rmtree(arguments.out / "data", ignore_errors=True)
    size = write_cases(cases, arguments.out)
    print(f"{len(cases)} files, {size} bytes in {arguments.out}")
    if size > LIMIT:
        print(f"Expected at most {LIMIT} bytes of data but made {size}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
