"""How wide must my network be? Widths that guarantee a dense core, as functions and as a table.

For a criterion at a density, ``k`` inputs and ``m`` neurons: the least width at which a mask
holds a dense core of m neurons on the k inputs with probability ``1 - delta``. Inputs are any k
of the best ``share`` of all inputs, counted with the worst factor in that share. Where P > 0
everywhere but is tiny the width is astronomical, and the table says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flint import arb, fmpq

from theory.core_width import check_delta, chernoff_width, width
from theory.criteria import CRITERIA, criterion
from theory.dense_core import BinomialCount, check_count, exact_probability
from theory.expressivity import (
    active_coordinates,
    check_limit,
    core_probability,
    core_probability_ball,
    factors_of,
    floor_probability,
    least_factor,
)
from theory.factor_range import check_share
from theory.limit import LimitGraphon
from theory.saliency import SaliencyModel

__all__ = [
    "WidthRow",
    "WidthTable",
    "boundary_inputs",
    "boundary_probability",
    "core_width",
    "most_inputs",
    "width_table",
]


def _probability(limit: LimitGraphon, k: int, share: Any) -> Any:
    """The core probability as a ball where there is a certified one, else as a float."""
    factors = factors_of(limit, k, share)
    try:
        return core_probability_ball(limit, factors=factors)
    except ValueError:
        return core_probability(limit, factors=factors)


def core_width(
    limit: LimitGraphon, k: int, m: int, delta: Any, *, share: Any = 0.5, inputs: int | None = None
) -> int:
    """The least width with ``Pr[at least m neurons see the k inputs] >= 1 - delta``.

    For masks with a fixed threshold and random target positions (binomial count);
    :func:`theory.core_dependence.guaranteed_width` covers an exact global count.

    Parameters
    ----------
    limit: limit graphon with a number as density.
    k, m: inputs and neurons, at least 1; delta: strictly between 0 and 1.
    share: the inputs are any k among this best share of the sources, in (0, 1].
    inputs: the number d of inputs, if k is to be checked against the active ones among them.

    Raises ValueError for arguments out of range, a k above the number of active inputs in the
    share, and where the core probability is 0 because the share holds inactive inputs.
    """
    limit, k = check_limit(limit), check_count(k, "k")
    part, active = check_share(share), active_coordinates(limit)
    if inputs is not None:
        there = math.floor(min(part, active.measure) * check_count(inputs, "inputs") + 1e-9)
        if k > there:
            raise ValueError(f"k must be at most {there}, the active inputs in the share; got {k}")
    if part > active.measure + 1e-12 or not active.contains([least_factor(limit, part)]).all():
        raise ValueError(
            f"share must be at most {active.measure:.6g}, the measure of the active inputs; got "
            f"{part:g}: the others see no neuron at any width"
        )
    return width(_probability(limit, k, part), m, delta)


def most_inputs(limit: LimitGraphon, n: int, m: int, delta: Any, *, share: Any = 0.5) -> int:
    """The largest k that a network of width n is guaranteed to see through m neurons.

    0 if there is none; the inverse of :func:`core_width` in k. Raises like it. Stops at 4096.
    """
    n, k = check_count(n, "n"), 0
    step = 1
    while step and k + step <= 4096:
        if core_width(limit, k + step, m, delta, share=share) <= n:
            k, step = k + step, step * 2
        else:
            step //= 2
            while step and core_width(limit, k + step, m, delta, share=share) > n:
                step //= 2
            if step:
                k, step = k + step, step // 2
    return k


# ----------------------------------------------------------------------------------- the boundary


def boundary_inputs(n: int, p: Any, epsilon: float) -> int:
    """``k_n = (1 - epsilon) log n / log(1/p)``, rounded away from the boundary, at least 1.

    Then ``n p^k >= n^epsilon`` for positive epsilon and ``<= n^epsilon`` for negative (unless
    rounded up to 1): the two sides of ``n p^k -> oo``. Raises ValueError for p outside (0, 1).
    """
    n, chance = check_count(n, "n", 2), exact_probability(p, "p")
    if not 0 < chance < 1:
        raise ValueError(f"p must lie strictly between 0 and 1, got {p}")
    exact = (1 - epsilon) * math.log(n) / -math.log(chance)
    return max(1, math.floor(exact) if epsilon > 0 else math.ceil(exact))


def boundary_probability(n: int, p: Any, k: int, m: int = 1) -> float:
    """``Pr[Binomial(n, p^k) >= m]`` for an edge floor p: one term of a sequence in n."""
    chance = exact_probability(p, "p") ** check_count(k, "k")
    return BinomialCount(check_count(n, "n"), chance).probability_at_least(m)


# ---------------------------------------------------------------------------------------- table


@dataclass(frozen=True)
class WidthRow:
    """One line of a width table.

    ``probability`` q (float, 0 for inactive inputs), ``width`` the least width or None where
    there is none, ``chernoff`` and ``floor`` the widths that Chernoff's bound with q and with
    the best edge floor ``|B| p^k`` ask for.
    """

    criterion: str
    density: float
    k: int
    m: int
    probability: float
    width: int | None
    chernoff: int | None
    floor: int | None


_HEADS = ("criterion", "density", "k", "m", "q", "width", "Chernoff", "from floor")


def _number(value: int | None) -> str:
    if value is None:
        return "none"
    return str(value) if value < 10**7 else f"{Decimal(value):.2e}"


@dataclass(frozen=True)
class WidthTable(Sequence[WidthRow]):
    """Rows, the probability of failure ``delta`` and the ``share`` that inputs are taken from."""

    rows: tuple[WidthRow, ...]
    delta: float
    share: float

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __iter__(self) -> Iterator[WidthRow]:
        return iter(self.rows)

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (
                row.criterion, f"{row.density:g}", str(row.k), str(row.m),
                f"{row.probability:.3g}",
                _number(row.width), _number(row.chernoff), _number(row.floor),
            )
            for row in self.rows
        ]  # fmt: skip

    @property
    def caption(self) -> str:
        """What the numbers mean, in one line."""
        return (
            f"Least width for m neurons that see any k of the best {self.share:g} of the inputs, "
            f"with probability at least {1 - self.delta:g}"
        )

    def to_text(self) -> str:
        """The table in plain text, columns aligned."""
        cells = [_HEADS, *self._cells()]
        sizes = [max(len(line[i]) for line in cells) for i in range(len(_HEADS))]
        lines = ["  ".join(cell.rjust(size) for cell, size in zip(line, sizes, strict=True))
                 for line in cells]  # fmt: skip
        return "\n".join([self.caption, "", lines[0], "-" * len(lines[0]), *lines[1:]])

    def to_markdown(self) -> str:
        """The table in Markdown."""
        lines = ["| " + " | ".join(_HEADS) + " |", "|---" + "|---:" * (len(_HEADS) - 1) + "|"]
        lines += ["| " + " | ".join(cells) + " |" for cells in self._cells()]
        return "\n".join([self.caption + ".", "", *lines])

    _repr_markdown_ = to_markdown
    __str__ = to_text


def width_table(
    criteria: Sequence[str] | Mapping[str, SaliencyModel] | None = None,
    densities: Sequence[float] = (0.05, 0.1, 0.2, 0.5),
    ks: Sequence[int] = (2, 4, 8, 16),
    ms: Sequence[int] = (16,),
    delta: Any = 0.01,
    *,
    share: Any = 0.5,
) -> WidthTable:
    """Widths for every criterion, density, k and m; print it, or ``.to_markdown()``.

    ``criteria`` are names of :data:`theory.criteria.CRITERIA` (default: all) or a mapping from
    names to saliency models. Raises ValueError for unknown names and arguments out of range.
    """
    chosen = list(CRITERIA) if criteria is None else criteria
    models = (
        dict(chosen) if isinstance(chosen, Mapping) else {name: criterion(name) for name in chosen}
    )
    if not (models and densities and ks and ms):
        raise ValueError("criteria, densities, ks and ms must hold at least one entry each")
    part, level = check_share(share), check_delta(delta)
    rows = []
    for name, model in models.items():
        for density in densities:
            limit = model.limit(density)
            for k in ks:
                q = _probability(limit, k, part)
                bound = floor_probability(limit, k, part)[0]
                rows += [_row(name, float(density), k, m, q, bound, delta) for m in ms]
    return WidthTable(tuple(rows), float(level), part)


def _row(
    name: str, density: float, k: int, m: int, q: arb | float, floor: float, delta: Any
) -> WidthRow:
    chance = exact_probability(q)
    value = float(arb(fmpq(chance.numerator, chance.denominator)))
    if chance == 0:
        return WidthRow(name, density, k, m, 0.0, None, None, None)
    crude = chernoff_width(floor, m, delta) if floor > 0 else None
    return WidthRow(
        name, density, k, m, value, width(chance, m, delta), chernoff_width(chance, m, delta), crude
    )
