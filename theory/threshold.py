"""The density equation ``E[P(U, V)] = rho`` and its solution, the threshold tau.

Two solvers, one equation. In double precision the average over the factors is a quadrature of
the model's own mask expression; to any precision it is integrated by mpmath, with the closed
form of the row density where there is one. A test holds the first to the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import mpmath as mp
import sympy as sp
from scipy import optimize

from theory.averages import mean_density
from theory.laws import MPMATH, Gaussian
from theory.profiles import ConstantProfile, HalfNormalProfile, Profile
from theory.saliency import IndependentRule, MagnitudeRule, SignedRule
from theory.symbols import c, r, tau

if TYPE_CHECKING:
    from theory.saliency import SaliencyModel


def check_density(density: Any) -> sp.Expr:
    """The density as a SymPy expression; ValueError for a number outside (0, 1]."""
    try:
        value = sp.sympify(density)
    except sp.SympifyError as error:
        raise ValueError(f"density must be a number in (0, 1], got {density!r}") from error
    named = isinstance(density, str) and isinstance(value, sp.Expr) and value.free_symbols
    if not isinstance(value, sp.Expr) or value is sp.nan or value.is_infinite or named:
        raise ValueError(f"density must be a finite number in (0, 1], got {density!r}")
    if not value.free_symbols and not (value.is_real and 0 < value <= 1):
        raise ValueError(f"density must lie in (0, 1], got {density}")
    return value


@lru_cache(maxsize=4096)
def solve(model: SaliencyModel, density: float) -> float:
    """The threshold in double precision.

    Its relative error is that of :func:`theory.averages.average`, about 1e-12 for smooth models.

    Raises ValueError where the density equation has no solution: an atom of the score (for
    example too many vanishing factors) swallows the requested density.
    """
    signed = model.rule.signed
    gap = lambda s: mean_density(model, s) - density  # noqa: E731
    if density == 1.0:
        return float("-inf") if signed else 0.0
    positive, dead = _positive_share(model), 1.0 - _living_share(model)
    if positive < density and (not signed or density < positive + dead):
        raise ValueError(
            f"density {density} cannot be reached: a share {positive:.6g} of the edges has a "
            f"positive score, and a share {dead:.6g} has score zero"
        )
    high = 1.0
    while gap(high) > 0.0:
        high *= 2.0
    low = -1.0 if signed else 0.0
    # Beyond the rounding of the quadrature's weights no threshold tells a density from one.
    while gap(low) <= 0.0:
        if not signed or low < -1e300:
            return 0.0 if not signed else float("-inf")
        low *= 2.0
    root = optimize.brentq(gap, low, high, xtol=1e-300, rtol=8.9e-16, maxiter=10_000)
    return float(root)


def _living_share(model: SaliencyModel) -> float:
    """Share of the edges whose score is not zero."""
    if not model.weight_is_noise:
        return 1.0
    row_zero = model.row.zero_share if model.factorised else 0.0
    return (1.0 - row_zero) * (1.0 - model.column.zero_share)


def _positive_share(model: SaliencyModel) -> float:
    return _living_share(model) * (0.5 if model.rule.signed else 1.0)


@lru_cache(maxsize=4096)
def _equals(density: sp.Expr, value: sp.Rational) -> bool:
    """Whether they are one number. SymPy's floats equal no rational: their difference is asked."""
    return bool((density - value).is_zero)


def closed_form(model: SaliencyModel, density: sp.Expr) -> sp.Expr | None:
    """The threshold as an expression, else None.

    There is one where both factors are constant, and at two densities whatever the factors:
    at density one everything is kept, and at one half a signed rule splits its scores at zero
    (if no score vanishes), because the laws are symmetric.
    """
    if _equals(density, sp.S.One):
        return sp.S.NegativeInfinity if model.rule.signed else sp.S.Zero
    if _equals(density, sp.S.Half) and model.rule.signed and _living_share(model) == 1.0:
        return sp.S.Zero
    rv, cv = model.row.constant, model.column.constant
    if isinstance(model.rule, IndependentRule):
        return model.noise.quantile(1 - density)
    if rv is None or cv is None:
        return None
    if isinstance(model.rule, MagnitudeRule):
        return rv * cv * model.noise.two_sided_quantile(density)
    if isinstance(model.rule, SignedRule):
        return rv * cv * model.noise.quantile(1 - density)
    return None


def _half_normal_average(scale: Any, function: Any, start: Any = 0) -> Any:
    """``E[f(scale |g|); |g| > start]`` by the trapezoidal rule in ``y = log(|g| - start)``.

    The weight is analytic in ``|Im y| < pi/4`` and falls doubly exponentially to the right; to the
    left ``f`` does (a mask never sees a vanishing factor), or at worst the weight does like e^y.
    """
    digits = (mp.mp.dps + 3) * mp.log(10)
    step = mp.pi**2 / (2 * digits)
    tiny = mp.mpf(10) ** (-mp.mp.dps - 3)

    def term(index: int) -> Any:
        rise = mp.exp(index * step)
        g = start + rise
        weight = rise * mp.exp(-g * g / 2)
        return weight * function(scale * g) if weight > tiny else mp.mpf(0)

    total = term(0)
    for direction in (1, -1):
        index, quiet = direction, 0
        while quiet < 4 and abs(index) * step < digits:
            value = term(index)
            quiet = quiet + 1 if abs(value) < tiny else 0
            total += value
            index += direction
    return mp.sqrt(2 / mp.pi) * step * total


def _average_mp(profile: Profile, function: Any, start: Any = 0) -> Any:
    """``E f(profile)`` with mpmath, to its working precision; ``f`` is 0 up to ``start``."""
    if isinstance(profile, ConstantProfile) or profile.constant is not None:
        return function(mp.mpf(sp.N(profile.constant, mp.mp.dps)))
    if isinstance(profile, HalfNormalProfile):
        scale = mp.mpf(sp.N(profile.scale, mp.mp.dps))
        return _half_normal_average(scale, function, start / scale)
    if type(profile).__name__ == "EmpiricalProfile":
        values, weights = profile.nodes()
        return mp.fsum(
            mp.mpf(float(q)) * function(mp.mpf(float(x)))
            for x, q in zip(values, weights, strict=True)
        )
    return mp.quad(lambda x: function(profile.at_mp(x)), [0, 0.25, 0.5, 0.75, 1])


@lru_cache(maxsize=256)
def _mask_mp(model: SaliencyModel) -> Any:
    expr = model.rule.moment(model.noise, 0, tau)
    return sp.lambdify((r, c, tau), expr, modules=list(MPMATH))


def _atomic(profile: Profile) -> bool:
    return profile.constant is not None or type(profile).__name__ == "EmpiricalProfile"


def _row_density_sum(x: Any) -> Any:
    """The row density D(x) as ``(2/pi) int_0^oo exp(-x cosh s) / cosh s ds`` (absolute precision).

    The same function as `theory.special.row_density_mp` (a test compares them); the trapezoidal
    rule converges geometrically here and is a hundred times faster inside a root search.
    """
    digits = (mp.mp.dps + 3) * mp.log(10)
    step = mp.pi**2 / (digits * (1 + mp.sqrt(x) / 4))
    total, s = mp.exp(-x) / 2, step
    while True:
        cosh = mp.cosh(s)
        if x * cosh + s > digits:
            return 2 / mp.pi * step * total
        total += mp.exp(-x * cosh) / cosh
        s += step


def mean_density_mp(model: SaliencyModel, threshold: Any) -> Any:
    """``E[P]`` at a threshold to the working precision of mpmath.

    What is averaged is P less its value at a vanishing factor (1 for a negative threshold), so
    that the integrand falls off where factors vanish. Where P has a kink (noise of bounded
    support) the average starts there, which takes one factor that is half-normal. Raises TypeError
    where kinks cannot be placed: then the density is known in double precision only.
    """
    base = mp.mpf(1 if threshold < 0 else 0)
    closed = (
        isinstance(model.rule, (MagnitudeRule, SignedRule))
        and isinstance(model.noise, Gaussian)
        and isinstance(model.column, HalfNormalProfile)
    )
    if closed:
        assert isinstance(model.column, HalfNormalProfile)
        scale = mp.mpf(sp.N(model.column.scale * sp.sqrt(model.noise.variance), mp.mp.dps))
        cut = (mp.mp.dps + 2) * mp.log(10)
        share = (mp.mpf(1) if isinstance(model.rule, MagnitudeRule) else mp.mpf(1) / 2) * (
            1 - 2 * base
        )

        def per_row(value: Any) -> Any:
            # D(x) < exp(-x), so beyond the cut it vanishes to working precision.
            level = abs(threshold)
            if value <= 0 or level > cut * value * scale:
                return mp.mpf(0)
            return share * _row_density_sum(level / (value * scale))

        return base + _average_mp(model.row, per_row)
    return base + _average_by_factors(model, threshold, base)


def _average_by_factors(model: SaliencyModel, threshold: Any, base: Any) -> Any:
    """``E[P - base]`` with the mask's own expression, averaged over one factor, then the other."""
    mask, sides = _mask_mp(model), (model.row, model.column)
    # The scores of factorised rules are symmetric in the factors: the half-normal one goes inside.
    swapped = model.factorised and not isinstance(model.column, HalfNormalProfile)
    outer, inner = reversed(sides) if swapped else sides
    smooth = model.factorised and model.noise.half_width is sp.oo
    placed = model.factorised and isinstance(inner, HalfNormalProfile)
    if not (smooth or placed or (_atomic(outer) and _atomic(inner))):
        raise TypeError(f"the density of {model.name!r} is known in double precision only")
    edge = 0 if smooth or not placed else mp.mpf(sp.N(model.noise.half_width, mp.mp.dps))

    def given(value: Any) -> Any:
        if value <= 0 and model.factorised:
            return mp.mpf(0)
        value = max(value, mp.mpf(10) ** (-3 * mp.mp.dps))  # the rules divide by factors

        def excess(other: Any) -> Any:
            if other <= 0:
                return mp.mpf(0)
            pair = (other, value) if swapped else (value, other)
            return mask(*pair, threshold) - base

        return _average_mp(inner, excess, abs(threshold) / (edge * value) if edge else 0)

    return _average_mp(outer, given)


@lru_cache(maxsize=512)
def solve_mp(model: SaliencyModel, density: sp.Expr, digits: int) -> Any:
    """The threshold to ``digits`` significant digits, by the secant method on mpmath's average.

    Raises TypeError for profiles known in double precision only (callables).
    """
    closed = closed_form(model, density)
    start = solve(model, float(density)) if closed is None else 0.0
    with mp.workdps(digits + 8):
        if closed is not None:
            return mp.mpf(str(sp.N(closed, digits + 8)).replace("oo", "inf"))
        target = mp.mpf(sp.N(density, digits + 8))
        return +mp.findroot(
            lambda s: mean_density_mp(model, s) - target,
            (mp.mpf(start) * (1 + mp.mpf(10) ** -10), mp.mpf(start) * (1 - mp.mpf(10) ** -10)),
            solver="secant",
            # The last step is shorter than this; the error left is of a higher order.
            tol=abs(mp.mpf(start)) * mp.mpf(10) ** (-digits),
            verify=False,
        )


@dataclass(frozen=True)
class _Ordered:
    """A model within an expression: SymPy sorts what it hashes, and a model has no order."""

    model: SaliencyModel

    def __lt__(self, other: _Ordered) -> bool:
        return repr(self.model) < repr(other.model)

    def __gt__(self, other: _Ordered) -> bool:
        return repr(self.model) > repr(other.model)


class Threshold(sp.Expr):
    """The solution of the density equation as a SymPy number that knows how to evaluate itself.

    It prints as tau; ``threshold.evalf(50)`` gives 50 digits where the model's profiles are
    known to that precision, and float precision otherwise.
    """

    is_real = True
    is_commutative = True
    # Not a "number" to SymPy: printers and comparisons would solve the equation behind one's back.
    is_number = False
    model: SaliencyModel

    def __new__(cls, model: SaliencyModel, density: Any) -> Threshold:
        obj = super().__new__(cls, check_density(density))
        obj.model = model
        return obj

    def _hashable_content(self) -> tuple[Any, ...]:
        return (*self._args, _Ordered(self.model))

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.model, *self._args)

    @property
    def func(self) -> Any:
        """Rebuild with the same model (SymPy's invariant ``e.func(*e.args) == e``)."""
        return lambda density: Threshold(self.model, density)

    @property
    def free_symbols(self) -> set[Any]:
        """The density's symbols, if it is left symbolic."""
        return set(self.args[0].free_symbols)

    def _eval_is_positive(self) -> bool | None:
        below_one = (1 - self.args[0]).is_positive
        return True if isinstance(self.model.rule, MagnitudeRule) and below_one else None

    def _eval_evalf(self, prec: int) -> sp.Expr:
        if self.free_symbols:
            return self
        digits = max(int((prec - 4) * 0.30103), 15)  # SymPy asks for four guard bits
        density = self.args[0]
        if digits <= 15:
            return sp.Float(solve(self.model, float(density)), 15)
        try:
            return sp.Float(solve_mp(self.model, density, digits), digits)
        except TypeError:
            return sp.Float(solve(self.model, float(density)), 15)

    def __float__(self) -> float:
        return solve(self.model, float(self.args[0]))

    def _sympystr(self, printer: Any) -> str:
        return "tau"

    def _latex(self, printer: Any) -> str:
        return r"\tau"
