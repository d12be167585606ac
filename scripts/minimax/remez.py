"""Weighted minimax fits by the Remez exchange algorithm, in multiple precision.

A fit is  f(x) ~ (fixed_num(x) + sum(p[i] * num[i](x))) / (fixed_den(x) + sum(q[j] * den[j](x)))
on [lo, hi]; without den it is a (generalised) polynomial. The fixed parts hold what is known, such
as coefficients that have been rounded to float already; the rest is then fitted around them.

Source of the method: E. Remez, 1934; for the rational case W. J. Cody, W. Fraser, J. F. Hart,
"Rational Chebyshev approximation using linear equations", Numerische Mathematik 12 (1968).
"""

import mpmath as mp

mp.mp.dps = 50


def monomial(power):
    return lambda x: x ** power


def hexfloat(value):
    """A C++ literal of a float, exact."""
    text = float(value).hex()
    mantissa, exponent = text.split("p")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}p{exponent}f"


def _solve(points, f, weight, num, den, fixed_num, fixed_den, usable):
    """Coefficients whose weighted error alternates between +E and -E on the points.

    With a denominator Q the condition  P(x) - Q(x) f(x) = +-E w(x) Q(x)  is an eigenvalue problem
    for E; of its real solutions the one of smallest |E| whose Q has no zero is the wanted one.
    """
    size = len(points)
    signs = [mp.mpf(-1) ** i for i in range(size)]
    if not den:
        a, b = mp.matrix(size, size), mp.matrix(size, 1)
        for i, x in enumerate(points):
            for k, term in enumerate(num):
                a[i, k] = term(x)
            a[i, size - 1] = -signs[i] * weight(x)
            b[i] = f(x) - fixed_num(x)
        solution = mp.lu_solve(a, b)
        return list(solution[: len(num)]), [], solution[size - 1]
    a, b = mp.matrix(size, size), mp.matrix(size, size)
    for i, x in enumerate(points):
        for k, term in enumerate(num):
            a[i, k] = term(x)
        for k, term in enumerate([fixed_den] + den):
            a[i, len(num) + k] = -f(x) * term(x)
            b[i, len(num) + k] = signs[i] * weight(x) * term(x)
        a[i, len(num)] += fixed_num(x)
    values, vectors = mp.eig(a ** -1 * b)
    best = None
    for k, value in enumerate(values):
        if value == 0 or abs(mp.im(value)) > abs(value) * mp.mpf(10) ** -15:
            continue
        lead = vectors[len(num), k]
        if abs(lead) < mp.mpf(10) ** -40:
            continue
        z = [mp.re(vectors[i, k] / lead) for i in range(size)]
        p, q, error = z[: len(num)], z[len(num) + 1 :], 1 / mp.re(value)
        if usable(q) and (best is None or abs(error) < abs(best[2])):
            best = (p, q, error)
    if best is None:
        raise ArithmeticError("no solution without a pole: start from a smaller interval")
    return best


def _extrema(err, lo, hi, count, grid):
    """The `count` alternating extrema of err with the largest magnitude."""
    xs = [lo + (hi - lo) * (1 - mp.cos(mp.pi * i / grid)) / 2 for i in range(grid + 1)]
    es = [err(x) for x in xs]
    best = []
    for i in range(grid + 1):
        left = abs(es[i - 1]) if i > 0 and es[i - 1] * es[i] > 0 else mp.mpf(0)
        right = abs(es[i + 1]) if i < grid and es[i + 1] * es[i] > 0 else mp.mpf(0)
        if abs(es[i]) > mp.mpf(10) ** -30 and abs(es[i]) >= left and abs(es[i]) >= right:
            if best and best[-1][1] * es[i] > 0:
                if abs(es[i]) > abs(best[-1][1]):
                    best[-1] = (xs[i], es[i])
            else:
                best.append((xs[i], es[i]))
    while len(best) > count:
        best.pop(0 if abs(best[0][1]) < abs(best[-1][1]) else -1)
    return [x for x, _ in best], max(abs(e) for e in es)


def fit(f, lo, hi, num, den=(), weight=lambda x: mp.mpf(1), fixed_num=lambda x: mp.mpf(0),
        fixed_den=lambda x: mp.mpf(1), grid=600, rounds=40, start=None):
    """Returns (numerator coefficients, denominator coefficients, max error, points), where points can be the `start` of a similar fit, as positions in [0, 1].

    An interval around a zero of the weight needs an even number of sign changes there, which holds
    if the first missing power is even.
    """
    lo, hi = mp.mpf(lo), mp.mpf(hi)
    num, den = list(num), list(den)
    count = len(num) + len(den) + 1
    # Not symmetric about the middle, where the error of an odd or constrained fit may vanish.
    start = start or [(1 - mp.cos(mp.pi * (i + mp.mpf("0.4")) / count)) / 2 for i in range(count)]
    points = [lo + (hi - lo) * t for t in start]
    coarse = [lo + (hi - lo) * i / 60 for i in range(61)]

    def usable(q):
        return all(fixed_den(x) + mp.fsum(c * t(x) for c, t in zip(q, den)) > 0 for x in coarse)

    for _ in range(rounds):
        p, q, error = _solve(points, f, weight, num, den, fixed_num, fixed_den, usable)

        def relative_error(x):
            top = fixed_num(x) + mp.fsum(c * t(x) for c, t in zip(p, num))
            value = top / (fixed_den(x) + mp.fsum(c * t(x) for c, t in zip(q, den)))
            return (value - f(x)) / weight(x)

        exchanged, worst = _extrema(relative_error, lo, hi, count, grid)
        if len(exchanged) < count:
            raise ArithmeticError("the error alternates too seldom: no unique best fit")
        points = exchanged
        if worst <= abs(error) * (1 + mp.mpf(10) ** -3):
            break
    return p, q, worst, [(x - lo) / (hi - lo) for x in points]


def round_and_polish(p, q, f, lo, hi, num, den=(), weight=lambda x: mp.mpf(1),
                     fixed_num=lambda x: mp.mpf(0), fixed_den=lambda x: mp.mpf(1), count=1500):
    """Rounds the coefficients of a fit to floats, then moves single ones by one unit in the last
    place for as long as that makes the largest weighted error smaller.

    Returns (numerator coefficients, denominator coefficients, max error), the coefficients as
    numpy.float32.
    """
    import numpy as np

    xs = [mp.mpf(lo) + (mp.mpf(hi) - lo) * (i + mp.mpf("0.37")) / count for i in range(count)]

    def table(functions):
        return np.array([[np.longdouble(mp.nstr(g(x), 25)) for x in xs] for g in functions])

    fx, w, top0, bottom0 = table([f, weight, fixed_num, fixed_den])
    terms_p = table(num)
    terms_q = table(den) if den else np.zeros((0, count), np.longdouble)

    def worst(c):
        c = np.array(c, np.longdouble)
        top, bottom = top0 + c[: len(p)] @ terms_p, bottom0 + c[len(p) :] @ terms_q
        return np.max(np.abs((top / bottom - fx) / w))

    c = [np.float32(float(x)) for x in list(p) + list(q)]
    best, improved = worst(c), True
    while improved:
        improved = False
        for i in range(len(c)):
            for direction in (-np.inf, np.inf):
                trial = c[:i] + [np.nextafter(c[i], np.float32(direction))] + c[i + 1 :]
                error = worst(trial)
                if error < best:
                    c, best, improved = trial, error, True
    return c[: len(p)], c[len(p) :], best
