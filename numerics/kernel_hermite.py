"""Duals without a closed form, by their Hermite (Mehler) series with a bound of what it leaves out.

    kappa = sum_n h_n(A) h_n(B) cosine^n,    h_n(A) = E[s(A Z) he_n(Z)] / sqrt(n!)

and kappa_dot is its derivative in the covariance. Coefficients come from the trapezoidal rule,
which converges geometrically for analytic activations, or from Gauss panels with an edge at
each kink. What the series leaves out at the diagonal is added with the next power of the
cosine, so that equal inputs have their exact value and the kernel stays positive semidefinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from numerics.evaluate import torch_function
from numerics.kernel_duals import DualValues, Moments, SmoothValues, closed_values
from theory.dual import DualActivation, z
from theory.duals import CustomDual

__all__ = ["HermiteValues", "dual_values"]

_REACH = 13.0
"""Nodes cover |Z| up to here: what is beyond weighs less than 1e-36 for bounded growth."""
_FINEST = 256
"""Nodes per unit at most; functions that need more are not analytic, or kinked unawares."""
_ROUNDING = 1e-15


class Series(NamedTuple):
    """One side of a pair: coefficients (nodes, inputs, terms) and the two roots of the tails."""

    coefficients: Tensor
    deviation: Tensor
    tail: Tensor
    tail_dot: Tensor


def _hermite_functions(points: Tensor, count: int) -> Tensor:
    """``he_n(x) exp(-x^2/4) / sqrt(n!)`` for n < count, shape (count, *points.shape)."""
    out = torch.empty((count, *points.shape), dtype=points.dtype, device=points.device)
    out[0] = torch.exp(-0.25 * points**2)
    if count > 1:
        out[1] = points * out[0]
    for n in range(1, count - 1):
        out[n + 1] = (points * out[n] - math.sqrt(n) * out[n - 1]) / math.sqrt(n + 1)
    return out


@lru_cache(maxsize=6)
def _trapezoid(per_unit: int, count: int, device: str) -> tuple[Tensor, Tensor]:
    """Nodes of step 1/per_unit, and the matrix (nodes, count) that makes coefficients."""
    half = int(_REACH * per_unit)
    nodes = torch.arange(-half, half + 1, dtype=torch.float64, device=device) / per_unit
    # E[f(Z) he_n(Z)] = int f phi he_n; half of the density is in the Hermite functions
    weight = torch.exp(-0.25 * nodes**2) / (per_unit * math.sqrt(2.0 * math.pi))
    return nodes, (_hermite_functions(nodes, count) * weight).T.contiguous()


class HermiteValues(SmoothValues):
    """Twin of an activation without a closed dual.

    ``tolerance`` bounds what the series leaves out, relative to ``E[s^2]`` and ``E[s'^2]``;
    ``largest`` is the longest series. Where that is too short, which happens to activations with
    kinks, :meth:`error` says so.
    """

    def __init__(self, dual: DualActivation, tolerance: float, largest: int = 1024) -> None:
        super().__init__(dual)
        self.tolerance, self.largest = tolerance, largest
        self.terms, self.per_unit = 0, 0
        self.reach = 0.0
        self.drift = 0.0, 0.0
        self.value, self.slope = _functions(dual)
        self.kinks = [float(point) for point in dual.kinks]
        self.step = {"odd": (1, 2), "even": (0, 2)}.get(dual.parity or "", (0, 1))

    # ---------------------------------------------------------------------------- quadrature
    def _values(
        self, function: Callable[[Tensor], Tensor], deviation: Tensor, terms: int
    ) -> Tensor:
        """Coefficients of ``function`` for deviations (m,), shape (m, terms)."""
        if self.kinks:
            return self._panels(function, deviation, terms)
        nodes, matrix = _trapezoid(self.per_unit, terms, str(deviation.device))
        return function(deviation[:, None] * nodes) @ matrix

    def _panels(
        self, function: Callable[[Tensor], Tensor], deviation: Tensor, terms: int
    ) -> Tensor:
        where, deviation = deviation.device, deviation.cpu()
        out = torch.empty(deviation.numel(), terms, dtype=torch.float64)
        x, w = np.polynomial.legendre.leggauss(16)
        count = max(26, math.ceil(26 * math.sqrt(terms) / 12.0))
        for start in range(0, deviation.numel(), 16):
            part = deviation[start : start + 16]
            kinks = torch.tensor(self.kinks, dtype=torch.float64) / part[:, None].clamp(min=1e-300)
            even = torch.linspace(-_REACH, _REACH, count + 1, dtype=torch.float64)
            edges = torch.cat((even.expand(part.numel(), -1), kinks.clamp(-_REACH, _REACH)), dim=1)
            edges = edges.sort(dim=1).values
            width = edges.diff(dim=1)[:, :, None]
            nodes = edges[:, :-1, None] + 0.5 * width * (torch.from_numpy(x) + 1.0)
            weight = 0.5 * width * torch.from_numpy(w) * torch.exp(-0.25 * nodes**2)
            weighted = function(part[:, None, None] * nodes) * weight / math.sqrt(2.0 * math.pi)
            basis = _hermite_functions(nodes.flatten(1), terms)
            out[start : start + 16] = torch.einsum("nmk,mk->mn", basis, weighted.flatten(1))
        return out.to(where)

    def _mean(self, function: Callable[[Tensor], Tensor], deviation: Tensor) -> Tensor:
        """``E[function(A Z)^2]``: the coefficient of order zero of the square."""
        return self._values(lambda y: function(y) ** 2, deviation, 1)[:, 0]

    # ------------------------------------------------------------------------------- length
    def fit(self, deviation: Tensor) -> None:
        """Choose step and length for deviations up to the largest of ``deviation``.

        The largest deviation has the widest spread of coefficients, so it decides.
        """
        top = float(deviation.max()) if deviation.numel() else 0.0
        if self.terms and top <= self.reach:
            return
        self.reach = max(top, self.reach)
        probe = torch.tensor([self.reach], dtype=torch.float64)
        terms = 32
        while True:
            self.terms = terms
            self._refine(probe)
            tails = self._tails(probe, self._values(self.value, probe, self.terms))
            met = all(bool((tail <= self.tolerance * size).all()) for tail, size in tails)
            if met or terms >= self.largest:
                break
            terms = min(2 * terms, self.largest)
        if met:
            self._shorten(probe)

    def _refine(self, probe: Tensor) -> None:
        """Halve the step until neither coefficients nor moments move."""
        if self.kinks:
            return
        self.per_unit = max(4, 2 * math.ceil(math.sqrt(self.terms) / 8.0))
        before = self._values(self.value, probe, self.terms)
        orders = torch.arange(self.terms, dtype=torch.float64)
        while True:
            self.per_unit *= 2
            now = self._values(self.value, probe, self.terms)
            change = now - before
            slope = change * orders.sqrt() / probe.clamp(min=1e-150)
            self.drift = float(change.norm()), float(slope.norm())
            size = float(self._mean(self.value, probe).sqrt())
            if float(change.abs().max()) <= 1e-14 * size or self.per_unit >= _FINEST:
                return
            before = now

    def _shorten(self, probe: Tensor) -> None:
        """The shortest series that meets the tolerance."""
        coefficients = self._values(self.value, probe, self.terms)
        orders = torch.arange(self.terms, dtype=torch.float64)
        square = coefficients[0] ** 2
        slope = square * orders / probe.clamp(min=1e-150) ** 2
        keep = 1
        for terms, function in ((square, self.value), (slope, self.slope)):
            beyond = terms.flip(0).cumsum(0).flip(0)  # what is left out by keeping n terms
            size = float(self._mean(function, probe))
            enough = torch.nonzero(beyond <= self.tolerance * max(size, 1e-300))
            keep = max(keep, int(enough[0]) if enough.numel() else self.terms)
        self.terms = min(self.terms, keep + 2)

    def _tails(self, deviation: Tensor, coefficients: Tensor) -> list[tuple[Tensor, Tensor]]:
        """What is left out of E[s^2] and E[s'^2], never below rounding, and these moments."""
        orders = torch.arange(self.terms, dtype=torch.float64, device=deviation.device)
        square = coefficients**2
        slope = square * orders / deviation[:, None].clamp(min=1e-150) ** 2
        out = []
        for kept, function in ((square, self.value), (slope, self.slope)):
            size = self._mean(function, deviation)
            rest = size - kept.sum(dim=1)
            out.append((torch.where(rest > _ROUNDING * size, rest, 0.0), size))
        return out

    # ---------------------------------------------------------------------------- interface
    def moments(self, deviation: Tensor) -> Moments:
        self.fit(deviation)
        flat = deviation.flatten()
        square, slope = self._mean(self.value, flat), self._mean(self.slope, flat)
        return Moments(square.sqrt().view_as(deviation), slope.view_as(deviation))

    def error(self, deviation: Tensor) -> tuple[float, float, float]:
        self.fit(deviation)
        flat = torch.stack((deviation.min(), deviation.max())).to("cpu", torch.float64)
        flat = flat.clamp(min=1e-75)  # at zero the moments are exact, but not as these sums
        coefficients = self._values(self.value, flat, self.terms)
        (tail, _), (tail_dot, _) = self._tails(flat, coefficients)
        n = torch.arange(self.terms, dtype=torch.float64)
        # E[s''^2] by the coefficients; nearer to zero they would be rounding, and it is constant
        above = flat.clamp(min=1e-4)
        relative = self._values(self.value, above, self.terms) / (above**2)[:, None]
        bend = (relative**2 * n * (n - 1)).sum(dim=1)
        # the series' rest lies in [-tail, tail], and tail itself was added in its place; the
        # step's error is below its last change
        sizes = (float(self._mean(f, flat).max().sqrt()) for f in (self.value, self.slope))
        steps = [2.0 * size * drift for size, drift in zip(sizes, self.drift, strict=True)]
        left_out = (2.0 * float(tail.max()), 2.0 * float(tail_dot.max()))
        return left_out[0] + steps[0], left_out[1] + steps[1], float(bend.max())

    def prepare(self, deviation: Tensor) -> Series:
        flat = deviation.flatten().to(torch.float64)
        coefficients = self._values(self.value, flat, self.terms)
        (tail, _), (tail_dot, _) = self._tails(flat, coefficients)
        first, stride = self.step
        chosen = coefficients[:, first::stride].to(deviation.dtype)
        roots = (t.sqrt().view_as(deviation).to(deviation.dtype) for t in (tail, tail_dot))
        shape = (*deviation.shape, chosen.shape[1])
        return Series(chosen.view(shape).movedim(-1, 0).contiguous(), deviation, *roots)

    def pair(self, left: Series, right: Series, cosine: Tensor, dot: bool) -> tuple[Tensor, Tensor]:
        first, stride = self.step
        # P(x) with x = cosine^stride by Horner's rule, and its derivative alongside
        x = cosine if stride == 1 else cosine * cosine
        count = left.coefficients.shape[0]
        a, b = left.coefficients[:, :, :, None], right.coefficients[:, :, None, :]
        value = a[-1] * b[-1]
        slope = torch.zeros_like(value)
        for n in range(count - 2, -1, -1):
            if dot:
                slope.mul_(x).add_(value)
            value.mul_(x).addcmul_(a[n], b[n])
        if stride == 2:
            slope.mul_(2.0).mul_(cosine)
        if first == 1:
            if dot:
                slope.mul_(cosine).add_(value)
            value.mul_(cosine)
        power = cosine ** (first + stride * count)
        value.add_(power * left.tail[:, :, None] * right.tail[:, None, :])
        if dot:
            spread = left.deviation[:, :, None] * right.deviation[:, None, :]
            slope.div_(spread.clamp(min=torch.finfo(spread.dtype).tiny))
            previous = cosine ** (first + stride * count - 1)
            slope.add_(previous * left.tail_dot[:, :, None] * right.tail_dot[:, None, :])
        return value, slope


def _functions(
    dual: DualActivation,
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """The activation and its derivative on float64 tensors."""
    if isinstance(dual, CustomDual) and dual.function is not None:
        function = dual.function

        def value(y: Tensor) -> Tensor:
            image = np.asarray(function(y.cpu().numpy()), dtype=np.float64)
            return torch.from_numpy(image).to(y.device)

        def slope(y: Tensor) -> Tensor:
            # central difference of order eight
            width = 2.0**-6
            out = torch.zeros_like(y)
            for k, weight in enumerate((4 / 5, -1 / 5, 4 / 105, -1 / 280), start=1):
                out += (value(y + k * width) - value(y - k * width)) * (weight / width)
            return out

        return value, slope
    stable = {"tanh": (torch.tanh, lambda y: torch.cosh(y.clamp(-350, 350)) ** -2)}
    if dual.name in stable:
        return stable[dual.name]
    sigmoid = torch.sigmoid
    if dual.name == "sigmoid":
        return sigmoid, lambda y: sigmoid(y) * sigmoid(-y)
    if dual.name == "softplus":
        return lambda y: y.clamp(min=0.0) + torch.log1p(torch.exp(-y.abs())), sigmoid
    if dual.name == "silu":
        return lambda y: y * sigmoid(y), lambda y: sigmoid(y) * (1.0 + y * sigmoid(-y))
    return torch_function(dual.expr, z), torch_function(sp.expand_func(dual.derivative), z)


def dual_values(dual: DualActivation, tolerance: float = 1e-9) -> DualValues:
    """The fast twin of a dual activation.

    ``tolerance`` is what a series may leave out, relative to the moments of the activation and
    its derivative. Raises ValueError for a tolerance that is not positive.
    """
    if not tolerance > 0.0:
        raise ValueError(f"tolerance must be positive, got {tolerance}")
    return closed_values(dual) or HermiteValues(dual, tolerance)
