#!/usr/bin/env python3
"""Derives the coefficients in native/simd/math.h.

    pip install mpmath numpy          (in a virtual environment of your choice)
    python scripts/minimax/fit_math.py             prints the constants, in some seconds
    python scripts/minimax/fit_math.py --check     fails unless math.h has exactly these

The errors printed are those of the approximation alone, relative, in units of 2^-24; such a unit is
half to one unit in the last place of a float. Rounding during the evaluation comes on top.
"""

import pathlib
import sys

from remez import fit, hexfloat, monomial, mp, round_and_polish

MATH_H = pathlib.Path(__file__).resolve().parents[2] / "native" / "simd" / "math.h"


def exp_terms(degree):
    """exp(x) ~ 1 + x + c2 x^2 + ... on [-ln 2 / 2, ln 2 / 2]."""
    half = mp.log(2) / 2 * mp.mpf("1.0001")  # a little more, for the rounding of the reduction
    num = [monomial(i) for i in range(2, degree + 1)]
    options = {"weight": mp.exp, "fixed_num": lambda x: 1 + x}
    p, q, _, _ = fit(mp.exp, -half, half, num, **options)
    p, _, error = round_and_polish(p, q, mp.exp, -half, half, num, **options)
    return [(f"kExp{degree}C{i + 2}", c) for i, c in enumerate(p)], error


def log_terms():
    """log(1 + x) ~ x - x^2 / 2 + c3 x^3 + ... on [-1/4, 1/2]."""

    def log1p(x):
        return mp.log(1 + x)

    def weight(x):  # has the sign of x, as the first free term has
        return log1p(x) if x != 0 else mp.mpf(10) ** -9

    num = [monomial(i) for i in range(3, 10)]
    options = {"weight": weight, "fixed_num": lambda x: x - x * x / 2}
    p, q, _, _ = fit(log1p, -0.25, 0.5, num, **options)
    p, _, error = round_and_polish(p, q, log1p, -0.25, 0.5, num, **options)
    return [(f"kLogC{i + 3}", c) for i, c in enumerate(p)], error


def tanh_terms():
    """tanh(x) ~ x + c3 x^3 + c5 x^5 on [0, ln 2 / 4]."""
    lo, hi = mp.mpf("0.0005"), mp.log(2) / 4 * mp.mpf("1.0001")
    num = [monomial(3), monomial(5)]
    options = {"weight": mp.tanh, "fixed_num": lambda x: x}
    p, q, _, _ = fit(mp.tanh, lo, hi, num, **options)
    p, _, error = round_and_polish(p, q, mp.tanh, lo, hi, num, **options)
    return [("kTanhC3", p[0]), ("kTanhC5", p[1])], error


def erf_terms():
    """erf(x) ~ x P(x^2) / Q(x^2) on [0, 3.95] with Q(0) = 1 and degrees 5 and 5.

    The fit starts on a shorter interval, where it is easy, and hands its points on to the next.
    """
    num = [monomial(2 * i + 1) for i in range(6)]
    den = [monomial(2 * i) for i in range(1, 6)]
    lo, points = mp.mpf("0.02"), None  # below, the error only falls further
    for hi in (2, 2.5, 3, 3.5, 3.95):
        p, q, _, points = fit(mp.erf, lo, hi, num, den, weight=mp.erf, start=points, grid=300)
    p, q, error = round_and_polish(p, q, mp.erf, lo, hi, num, den, weight=mp.erf)
    terms = [(f"kErfP{i}", c) for i, c in enumerate(p)]
    return terms + [(f"kErfQ{i + 1}", c) for i, c in enumerate(q)], error


def main():
    groups = [
        ("exp, degree 5", exp_terms(5)),
        ("exp, degree 6", exp_terms(6)),
        ("log", log_terms()),
        ("tanh", tanh_terms()),
        ("erf", erf_terms()),
    ]
    lines = []
    for title, (terms, error) in groups:
        print(f"// {title}: max error {mp.nstr(mp.mpf(float(error)) * 2 ** 24, 3)}")
        for name, value in terms:
            lines.append(f"constexpr float {name} = {hexfloat(value)};")
            print(lines[-1])
    if "--check" in sys.argv[1:]:
        text = MATH_H.read_text()
        missing = [line for line in lines if line not in text]
        if missing:
            sys.exit(f"{MATH_H} lacks:\n" + "\n".join(missing))


if __name__ == "__main__":
    main()
