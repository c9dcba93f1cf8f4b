"""Dual activations as fast functions of tensors: the numeric twins of :mod:`theory.duals`.

A pair of inputs enters with its standard deviations ``A``, ``B`` and either the cosine of its
Gaussians or its *deficit* ``r = 2 (1 - cosine) = |x/|x| - y/|y||^2``. Activations whose duals
are not smooth at equal inputs (the ReLU family, steps) map deficits to deficits without
cancellation, because ``1 - cosine`` of a float cosine has no correct digit there; all others
take cosines. Standard deviations rather than variances keep inputs of size 1e-160.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import sympy as sp
import torch
from torch import Tensor

from numerics.evaluate import numpy_function, torch_function
from theory.dual import DualActivation, q, q11, q12, q22, z
from theory.duals import ABReLU, CustomDual, Gabor, RectifiedPower, Sign, Sin

__all__ = [
    "ClosedValues",
    "DeficitValues",
    "DualValues",
    "HomogeneousValues",
    "Moments",
    "SmoothValues",
    "StepValues",
    "StraightValues",
    "WaveValues",
]

SMALLEST = 1e-70
"""Standard deviations below this are replaced by it in closed forms, and the dual is scaled."""


class Moments(NamedTuple):
    """``E[s^2]`` as a root, and ``E[s'^2]``, of one Gaussian; shapes as the argument, float64."""

    root: Tensor
    dot: Tensor


class DualValues(ABC):
    """What the kernel recursion asks of an activation.

    ``degree`` is k where ``s(a z) = a^k s(z)`` for a > 0, else None; ``limit`` is the variance
    from which on the dual diverges.
    """

    def __init__(self, dual: DualActivation) -> None:
        self.dual = dual
        self.name = dual.name
        self.degree: float | None = None if dual.degree is None else float(dual.degree)
        self.limit = float(dual.variance_limit)

    @abstractmethod
    def moments(self, deviation: Tensor) -> Moments:
        """Root of ``E[s^2]``, and ``E[s'^2]``, at standard deviations, any shape, float64."""

    def error(self, deviation: Tensor) -> tuple[float, float, float]:
        """Bounds ``(|kappa|, |kappa_dot|, |d kappa_dot / d q12|)``: the first two of what a
        series leaves out at these deviations, the last of how it passes errors on; zeros for
        closed forms."""
        return 0.0, 0.0, 0.0


class DeficitValues(DualValues):
    """Homogeneous activations whose dual has a square-root singularity at equal inputs."""

    @abstractmethod
    def deficit(
        self, r: Tensor, opposite: Tensor | None, dot: bool
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Deficit after the activation, its ``opposite``, and kappa_dot (anything, unless ``dot``).

        ``opposite = 4 - r`` is given where it is known more precisely than by that difference,
        and returned where only so it stays known. ``r`` is overwritten.
        """


class StraightValues(DeficitValues):
    """Twin of ABReLU: with the angle t, ``r' = r - k (sin t - t cos t)``.

    Written as ``alpha z + gamma |z|``; ``k = 4 gamma^2 / (pi (alpha^2 + gamma^2))``.
    """

    def __init__(self, dual: DualActivation, left: float, right: float) -> None:
        super().__init__(dual)
        alpha, self.gamma = (left + right) / 2.0, (right - left) / 2.0
        self.power = alpha**2 + self.gamma**2
        self.even = alpha == 0.0
        self.degree = 1.0

    def moments(self, deviation: Tensor) -> Moments:
        return Moments(deviation * math.sqrt(self.power), torch.full_like(deviation, self.power))

    def deficit(
        self, r: Tensor, opposite: Tensor | None, dot: bool
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        if self.gamma == 0.0:
            return r, opposite, torch.full_like(r, self.power)
        other = torch.rsub(r, 4.0) if opposite is None else opposite
        if opposite is None:
            half = torch.sqrt(r).mul_(0.5).asin_()
        else:
            half = torch.atan2(r.sqrt(), opposite.sqrt())
        slope = half.mul(-4.0 * self.gamma**2 / math.pi).add_(self.power) if dot else half
        if self.even:  # opposite inputs are equal ones, to the same precision
            half = torch.where(r <= other, half, torch.atan2(other.sqrt(), r.sqrt()))
            r, other = torch.minimum(r, other), torch.maximum(r, other)
        sine = torch.mul(r, other).sqrt_()  # twice the sine
        product = torch.rsub(r, 2.0).mul_(half)  # twice t cos t, over two
        factor = 2.0 * self.gamma**2 / (math.pi * self.power)
        out = r.sub_(sine, alpha=factor).add_(product, alpha=2.0 * factor)
        return out.clamp_(min=0.0), None, slope


class StepValues(DeficitValues):
    """Twin of the step (``r' = 2 t / pi``) and of sign (``r' = 4 t / pi``), with the angle t."""

    def __init__(self, dual: DualActivation, square: float, rate: float) -> None:
        super().__init__(dual)
        self.root, self.rate = math.sqrt(square), rate
        self.degree = 0.0

    def moments(self, deviation: Tensor) -> Moments:
        # s(0) = 0, so a neuron without variance is silent
        root = (deviation > 0).to(deviation) * self.root
        return Moments(root, torch.zeros_like(deviation))

    def deficit(
        self, r: Tensor, opposite: Tensor | None, dot: bool
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        other = torch.rsub(r, 4.0) if opposite is None else opposite
        half = torch.atan2(r.sqrt(), other.sqrt())
        rate = 4.0 * self.rate / math.pi
        back = None
        if opposite is not None and self.dual.parity == "odd":
            back = torch.atan2(other.sqrt(), r.sqrt()).mul_(rate)
        return half.mul_(rate), back, torch.zeros_like(r)


class SmoothValues(DualValues):
    """Activations whose dual is smooth in the cosine of the pair."""

    def prepare(self, deviation: Tensor) -> Any:
        """What a pair needs to know of one side; ``deviation`` has shape (nodes, inputs)."""
        return deviation

    @abstractmethod
    def pair(self, left: Any, right: Any, cosine: Tensor, dot: bool) -> tuple[Tensor, Tensor]:
        """kappa and kappa_dot (anything, unless ``dot``) for two prepared sides.

        ``cosine`` has shape (nodes, left inputs, right inputs).
        """


def _outer(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    return left[:, :, None], right[:, None, :]


class HomogeneousValues(SmoothValues):
    """``kappa = (A B)^k kappa(1, 1, cosine)``: monomials and rectified powers."""

    def __init__(self, dual: DualActivation) -> None:
        super().__init__(dual)
        assert self.degree is not None
        self.kappa = torch_function(dual.kappa(1, 1, q12), q12)
        self.kappa_dot = torch_function(dual.kappa_dot(1, 1, q12), q12)
        self.root = math.sqrt(float(dual.second_moment(sp.S.One)))
        self.dot = float(dual.second_moment_dot(sp.S.One))

    def moments(self, deviation: Tensor) -> Moments:
        assert self.degree is not None
        dot = self.dot * deviation ** (2.0 * (self.degree - 1.0)) if self.dot else 0.0 * deviation
        return Moments(self.root * deviation**self.degree, dot)

    def pair(self, left: Tensor, right: Tensor, cosine: Tensor, dot: bool) -> tuple[Tensor, Tensor]:
        assert self.degree is not None
        a, b = _outer(left**self.degree, right**self.degree)
        kappa = self.kappa(cosine) * a * b
        if not dot or not self.dot:
            return kappa, torch.zeros_like(kappa)
        a, b = _outer(left ** (self.degree - 1.0), right ** (self.degree - 1.0))
        return kappa, self.kappa_dot(cosine) * a * b


class ClosedValues(SmoothValues):
    """The closed form of the theory, compiled."""

    def __init__(self, dual: DualActivation) -> None:
        super().__init__(dual)
        entries = (q11, q22, q12)
        self.kappa = torch_function(dual.kappa(q11, q22, q12), entries)
        self.kappa_dot = torch_function(dual.kappa_dot(q11, q22, q12), entries)
        self.square = torch_function(dual.second_moment(q), q)
        self.square_dot = torch_function(dual.second_moment_dot(q), q)
        self.origin = float(dual.expr.subs(z, 0))

    def _scale(self, deviation: Tensor) -> tuple[Tensor, Tensor]:
        """Deviations kept off zero, and by how much they were changed if s(0) = 0."""
        clamped = deviation.clamp(min=SMALLEST if deviation.dtype == torch.float64 else 1e-15)
        scale = torch.ones_like(deviation) if self.origin else deviation / clamped
        return clamped, scale

    def moments(self, deviation: Tensor) -> Moments:
        clamped, scale = self._scale(deviation)
        variance = clamped**2
        return Moments(self._square(variance).sqrt() * scale, self._square_dot(variance))

    def _square(self, variance: Tensor) -> Tensor:
        return self.square(variance)

    def _square_dot(self, variance: Tensor) -> Tensor:
        return self.square_dot(variance)

    def pair(self, left: Tensor, right: Tensor, cosine: Tensor, dot: bool) -> tuple[Tensor, Tensor]:
        (first, first_scale), (second, second_scale) = self._scale(left), self._scale(right)
        a, b = _outer(first, second)
        covariance = cosine * a * b
        kappa, slope = self._values(a * a, b * b, covariance, dot)
        if not self.origin:
            s, t = _outer(first_scale, second_scale)
            kappa = kappa * s * t
        return kappa, slope

    def _values(self, a: Tensor, b: Tensor, c: Tensor, dot: bool) -> tuple[Tensor, Tensor]:
        kappa = self.kappa(a, b, c)
        return kappa, self.kappa_dot(a, b, c) if dot else kappa


class WaveValues(ClosedValues):
    """Sines and Gabor's function: differences of exponentials, by sinh where those cancel."""

    def __init__(self, dual: DualActivation) -> None:
        super().__init__(dual)
        if isinstance(dual, Sin):
            self.amplitude = float(dual.a) ** 2
            self.rate = float(dual.b) ** 2
            self.even = float(sp.sin(dual.phase)) ** 2
            self.odd = float(sp.cos(dual.phase)) ** 2

    def _square(self, variance: Tensor) -> Tensor:
        return self._values(variance, variance, variance, False)[0]

    def _values(self, a: Tensor, b: Tensor, c: Tensor, dot: bool) -> tuple[Tensor, Tensor]:
        if isinstance(self.dual, Sin):
            level, height = self.rate * (a + b) / 2.0, self.rate * c
            growth, hollow, full = _split(level, height)
            kappa = (self.odd * hollow + self.even * full) * growth * self.amplitude
            slope = (self.odd * full + self.even * hollow) * growth
            return kappa, slope * (self.amplitude * self.rate)
        determinant = (1.0 + 2.0 * a) * (1.0 + 2.0 * b) - 4.0 * c**2
        spread = ((a + b) / 2.0 + 2.0 * (a * b - c**2)) / determinant
        growth, hollow, _ = _split(spread, c / determinant)
        kappa = growth * hollow / determinant.sqrt()
        return kappa, self.kappa_dot(a, b, c) if dot else kappa


def _split(level: Tensor, height: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``exp(|h| - level)`` and what it multiplies in ``exp(-level)`` sinh h and cosh h."""
    size = height.abs()
    decay = torch.expm1(-2.0 * size)
    return torch.exp(size - level), torch.sign(height) * decay * -0.5, 1.0 + 0.5 * decay


def closed_values(dual: DualActivation) -> DualValues | None:
    """The twin of a dual with a closed form, or None where there is none.

    An expression that is homogeneous of degree 1 is two half-lines, whatever it is called.
    """
    if isinstance(dual, ABReLU):
        return StraightValues(dual, float(dual.a), float(dual.b))
    if isinstance(dual, CustomDual) and dual.degree == 1:
        left, right = _ends(dual)
        return StraightValues(dual, -left, right)
    if isinstance(dual, Sign):
        return StepValues(dual, 1.0, 2.0)
    if isinstance(dual, RectifiedPower) and dual.p == 0:
        return StepValues(dual, 0.5, 1.0)
    if isinstance(dual, RectifiedPower) and dual.p == 1:
        return StraightValues(dual, 0.0, 1.0)
    if not dual.closed:
        return None
    if dual.degree is not None:
        return HomogeneousValues(dual)
    return WaveValues(dual) if isinstance(dual, Sin | Gabor) else ClosedValues(dual)


def _ends(dual: CustomDual) -> tuple[float, float]:
    function: Callable[..., Any] = dual.function or numpy_function(dual.expr, z)
    values = function(torch.tensor([-1.0, 1.0], dtype=torch.float64).numpy())
    return float(values[0]), float(values[1])
