"""A small set of combinations in which every pair of options occurs together."""

from itertools import combinations
from typing import Callable

from common import Random

Row = dict[str, object]


def pairs_of(row: Row, factors: dict[str, list]) -> set:
    return {((a, row[a]), (b, row[b])) for a, b in combinations(factors, 2)}


def feasible_pairs(factors: dict[str, list], allowed: Callable[[Row], bool]) -> set:
    return {
        ((a, x), (b, y))
        for a, b in combinations(factors, 2)
        for x in factors[a]
        for y in factors[b]
        if allowed({a: x, b: y})
    }


def covering_rows(factors: dict[str, list], allowed: Callable[[Row], bool], seed: str) -> list[Row]:
    """Rows that hold every feasible pair at least once.

    Greedy: of many random rows around a pair still missing, the one with most missing pairs is
    taken. `allowed` judges whole rows and parts of rows.
    """
    random = Random(seed)
    missing = feasible_pairs(factors, allowed)
    rows: list[Row] = []
    while missing:
        best, gain = None, 0
        (a, x), (b, y) = min(missing, key=repr)
        for _ in range(300):
            row = {name: random.choice(options) for name, options in factors.items()}
            row[a], row[b] = x, y
            if not allowed(row):
                continue
            found = len(missing & pairs_of(row, factors))
            if found > gain:
                best, gain = row, found
        if best is None:
            raise ValueError(f"no row for the pair {(a, x)}, {(b, y)}")
        rows.append(best)
        missing -= pairs_of(best, factors)
    return rows
