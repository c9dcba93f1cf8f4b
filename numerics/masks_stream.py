"""Masks drawn from a saliency model, without ever holding all its scores.

Noise comes in *panels*: whole rows, about a quarter of a million numbers each, and each panel from
its own random stream. So a mask is a function of model, sizes, density, seed and dtype. How many
threads work, on how many panels at a time, and where the result is put changes no bit of it.

The exact threshold needs one pass. A small pilot sample brackets it; the pass counts what lies
above the bracket, sets it aside as kept, and holds only what lies inside, among which the rest is
chosen exactly. If the bracket misses, it is widened and the pass repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from numerics.device import resolve
from numerics.evaluate import numpy_function
from numerics.ranking import kept_count, select_largest
from numerics.sampling import NumpyFloat, Sampler, numpy_dtype, uniform
from numerics.seeds import generator
from theory.symbols import c as c_symbol
from theory.symbols import r as r_symbol
from theory.symbols import w as w_symbol

if TYPE_CHECKING:
    from theory.saliency import SaliencyModel

__all__ = ["PANEL_ENTRIES", "MaskSample", "MaskStream", "draw", "positive_integer"]

PANEL_ENTRIES = 2**18
"""Numbers in a panel, at least one row; part of what a seed means."""

_PILOT = 2**17
_WIDTHS = (6.0, 48.0, math.inf)
"""Half-widths of the bracket, in standard deviations of the pilot's quantile."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class MaskSample:
    """A mask and the latents behind it.

    ``mask``: bool, (n, d). ``u``, ``r``: positions and row factors of the sources, float64,
    (d,). ``v``, ``c``: the same of the targets, (n,), in the order they were drawn (see
    :meth:`sorted`). ``threshold``: the smallest score kept. ``density``: as requested.
    ``weights``: (n, d) in the noise's dtype, or None if not asked for.
    """

    mask: Tensor
    u: Tensor
    v: Tensor
    r: Tensor
    c: Tensor
    threshold: float
    density: float
    weights: Tensor | None = None

    @property
    def achieved(self) -> float:
        """Share of entries kept: the requested density, rounded to a whole number of entries."""
        return int(self.mask.sum()) / self.mask.numel()

    def sorted(self) -> MaskSample:
        """The same sample with sources and targets in the order of their positions."""
        rows, cols = torch.argsort(self.v, stable=True), torch.argsort(self.u, stable=True)
        return replace(
            self,
            mask=self.mask[rows][:, cols],
            u=self.u[cols],
            v=self.v[rows],
            r=self.r[cols],
            c=self.c[rows],
            weights=None if self.weights is None else self.weights[rows][:, cols],
        )


# ------------------------------------------------------------------------------------- scores

_TWINS: dict[sp.Expr, tuple[bool, bool]] = {
    sp.Abs(w_symbol) * r_symbol * c_symbol: (True, True),
    w_symbol * r_symbol * c_symbol: (False, True),
    sp.Abs(w_symbol): (True, False),
    w_symbol: (False, False),
}
"""Scores with a fast twin: whether it takes ``|w|``, and whether it multiplies by ``r c``."""


def _scorer(expr: sp.Expr, dtype: torch.dtype) -> Callable[[NumpyFloat, Vector, Vector], Any]:
    """The score as a function of noise (overwritten), row factors and column factors.

    The three arrays broadcast. Known shapes are computed in place and in ``dtype``; a test holds
    them to the expression. Any other expression is evaluated in float64.
    """
    if expr in _TWINS:
        absolute, factors = _TWINS[expr]
        kind = numpy_dtype(dtype)

        def twin(noise: NumpyFloat, r: Vector, c: Vector) -> Any:
            if absolute:
                np.abs(noise, out=noise)
            if factors:
                noise *= r.astype(kind, copy=False)
                noise *= c.astype(kind, copy=False)
            return noise

        return twin

    function = numpy_function(expr, (r_symbol, c_symbol, w_symbol))

    def general(noise: NumpyFloat, r: Vector, c: Vector) -> Any:
        values = function(r, c, noise)
        if not np.isfinite(values).all():
            raise ValueError(f"model.score must be finite; {expr} has NaN or infinity")
        return values

    return general


def _positions(name: str, kind: str, size: int, rng: np.random.Generator) -> Vector:
    if kind == "grid":
        return (np.arange(size) + 0.5) / size
    if kind == "random":
        return uniform(rng, size)
    raise ValueError(f"{name} must be 'grid' or 'random', got {kind!r}")


def _factors(profile: Callable[[Vector], Any], name: str, at: Vector) -> Vector:
    values = np.asarray(profile(at), dtype=np.float64)
    if values.shape != at.shape or not np.isfinite(values).all():
        raise ValueError(f"{name} must map positions to as many finite values")
    return values


def positive_integer(name: str, value: int) -> int:
    """``value``, or ValueError that names the argument."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return value


class MaskStream:
    """Everything about one draw that does not depend on the bracket."""

    def __init__(
        self, model: SaliencyModel, n: int, d: int, density: float, seed: int,
        positions: str, columns: str, dtype: torch.dtype, tile: int | None, jobs: int | None,
    ) -> None:  # fmt: skip
        self.n, self.d, self.seed, self.dtype = (
            positive_integer("n", n),
            positive_integer("d", d),
            seed,
            dtype,
        )
        self.kept = kept_count(density, n * d)
        for name in ("row", "column", "noise", "score", "weight_is_noise"):
            if not hasattr(model, name):
                raise TypeError(f"model must be a saliency model, it has no attribute {name!r}")
        self.jobs = torch.get_num_threads() if jobs is None else positive_integer("jobs", jobs)
        self.model = model
        self.sampler = Sampler(model.noise, dtype)
        self.score = _scorer(model.score, dtype)
        self.u = _positions("positions", positions, d, generator(seed, "positions"))
        self.v = _positions("columns", columns, n, generator(seed, "columns"))
        self.r = _factors(model.row, "model.row", self.u)
        self.c = _factors(model.column, "model.column", self.v)
        if _TWINS.get(model.score, (0, False))[1] and not (self.r.any() and self.c.any()):
            raise ValueError("model has an all-zero score: no ranking, hence no mask")
        self.rows = max(1, PANEL_ENTRIES // d)
        panels = -(-n // self.rows)
        unit = 1 if tile is None else -(-positive_integer("tile", tile) // self.rows)
        self.units = [range(k, min(k + unit, panels)) for k in range(0, panels, unit)]

    def pilot(self) -> Any:
        """Scores of random edges of this draw under fresh noise, ascending."""
        rng = generator(self.seed, "pilot")
        i, j = rng.integers(self.d, size=_PILOT), rng.integers(self.n, size=_PILOT)
        return np.sort(self.score(self.sampler(rng, (_PILOT,)), self.r[i], self.c[j]))

    def bracket(self, pilot: Any, width: float) -> tuple[Any, Any]:
        """Scores ``low <= τ < high``, very likely; never wrong where it is infinite."""
        share = 1.0 - self.kept / (self.n * self.d)
        half = width * math.sqrt(_PILOT * share * (1.0 - share)) + width
        low, high = share * _PILOT - half, share * _PILOT + half
        low_score = pilot[int(low)] if low >= 0.0 else -math.inf
        # The upper end is excluded, so it is one step above the pilot's value: an atom is inside.
        high_score = np.nextafter(pilot[int(high)], np.inf) if high < _PILOT - 1 else math.inf
        return low_score, high_score

    def work(
        self, unit: range, low: Any, high: Any, mask: NDArray[np.bool_], weights: Any
    ) -> tuple[int, NDArray[np.int64], Any]:
        """Fill the mask's rows of some panels with what is surely kept; return the candidates."""
        sure, where, what = 0, [], []
        for panel in unit:
            start = panel * self.rows
            stop = min(start + self.rows, self.n)
            rng = generator(self.seed, "noise", panel)
            noise = self.sampler(rng, (self.rows, self.d))[: stop - start]
            if weights is not None:
                weights[start:stop] = noise if self.model.weight_is_noise else self.sampler(
                    generator(self.seed, "weights", panel), (self.rows, self.d)
                )[: stop - start]  # fmt: skip
            scores = self.score(noise, self.r[None, :], self.c[start:stop, None])
            part = mask[start:stop]
            np.greater_equal(scores, high, out=part)
            sure += int(np.count_nonzero(part))
            near = scores >= low
            near ^= part
            index = np.flatnonzero(near)
            where.append(index + start * self.d)
            what.append(scores.ravel()[index])
        return sure, np.concatenate(where), np.concatenate(what)

    def run(self, weights: Any = None) -> tuple[NDArray[np.bool_], float]:
        """The mask, (n, d), and the smallest kept score."""
        mask = np.empty((self.n, self.d), dtype=bool)
        small = self.n * self.d <= 2 * _PILOT
        pilot = None if small else self.pilot()
        for width in (math.inf,) if small else _WIDTHS:
            low, high = (-math.inf, math.inf) if math.isinf(width) else self.bracket(pilot, width)
            task = lambda unit: self.work(unit, low, high, mask, weights)  # noqa: E731, B023
            if self.jobs == 1 or len(self.units) == 1:
                parts = [task(unit) for unit in self.units]
            else:
                with ThreadPoolExecutor(self.jobs) as pool:
                    parts = list(pool.map(task, self.units))
            missing = self.kept - sum(part[0] for part in parts)
            where = np.concatenate([part[1] for part in parts])
            what = np.concatenate([part[2] for part in parts])
            if 1 <= missing <= what.size:
                break
        if what.size == mask.size and not what.any():
            raise ValueError("model has an all-zero score: no ranking, hence no mask")
        chosen, threshold = select_largest(what, missing, generator(self.seed, "ties"))
        mask.ravel()[where[chosen]] = True
        return mask, threshold


# ------------------------------------------------------------------------------------- public


def draw(
    model: SaliencyModel,
    n: int,
    d: int,
    density: float,
    seed: int,
    *,
    positions: str = "grid",
    columns: str = "random",
    weights: bool = False,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    tile: int | None = None,
    jobs: int | None = None,
) -> MaskSample:
    """A mask of shape (n, d) from a saliency model, with exactly ``kept_count(density, n d)`` kept.

    Parameters
    ----------
    model: a :class:`theory.saliency.SaliencyModel`.
    positions: of the sources, ``"grid"`` ((i + ½)/d) or ``"random"`` (i.i.d. uniform).
    columns: positions of the targets, ``"random"`` or ``"grid"``; the column factor is the
        model's column profile there, so random positions are i.i.d. latents of the column law.
    weights: whether to return the weights too: the noise itself where the score sees the
        weight, independent weights of the same law where it does not.
    dtype: of noise, weights and fast scores, torch.float32 or torch.float64; different draws.
    device: where the result is put. Numbers are drawn on the CPU, the same for every device.
    tile: rows handed to a thread at a time, rounded up to whole panels; ``jobs``: threads (by
        default those of PyTorch). Neither changes the result.

    Raises ValueError for sizes that are not positive, a density outside (0, 1], unknown names,
    scores or factors that are not finite, an all-zero score; TypeError for something that is no
    model.
    """
    place = resolve(device)
    stream = MaskStream(model, n, d, density, seed, positions, columns, dtype, tile, jobs)
    held = np.empty((n, d), dtype=numpy_dtype(dtype)) if weights else None
    mask, threshold = stream.run(held)
    u, v, r, c = (
        torch.from_numpy(np.array(part)).to(place)
        for part in (stream.u, stream.v, stream.r, stream.c)
    )
    return MaskSample(
        torch.from_numpy(mask).to(place), u, v, r, c, threshold, float(density),
        None if held is None else torch.from_numpy(held).to(place),
    )  # fmt: skip
