"""Shares of several causes in one effect, by Shapley's rule.

Switched on one after another, causes that interact get shares that depend on the order. Shapley's
share is the mean over all orders: the shares add up to the whole effect, and a cause that never
changes anything gets none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

__all__ = ["shapley"]


def shapley(causes: Sequence[str], effect: Mapping[frozenset[str], float]) -> dict[str, float]:
    """The share of each cause in ``effect[all causes] - effect[none]``.

    ``effect`` has a number for each of the 2^k sets of causes that are switched on. Raises
    ValueError for causes that repeat, and where a set is missing.
    """
    names = list(causes)
    if len(set(names)) != len(names) or not names:
        raise ValueError(f"causes must be different names, at least one, got {names}")
    count = len(names)
    shares = dict.fromkeys(names, 0.0)
    for name in names:
        others = [other for other in names if other != name]
        for size in range(count):
            orders = math.factorial(size) * math.factorial(count - 1 - size)
            weight = orders / math.factorial(count)
            for chosen in combinations(others, size):
                on = frozenset(chosen)
                for each in (on, on | {name}):
                    if each not in effect:
                        raise ValueError(f"effect must have a value for {sorted(each)}")
                shares[name] += weight * (effect[on | {name}] - effect[on])
    return shares
