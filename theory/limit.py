"""The limit graphon of a saliency model: mask, variance and mean graphon, degrees, path density.

Formulas live in the model's rule; this module puts positions, threshold and density together,
gives every quantity in three forms (unevaluated integral, closed form, float64 values), and
says whether the limit is homogeneous.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory.averages import average, moment_values, nodes_given
from theory.graphon import cell_averages
from theory.laws import MPMATH, Gaussian, TailMoment, TwoSidedTail
from theory.profiles import HalfNormalProfile
from theory.saliency import MagnitudeRule, SaliencyModel, SignedRule
from theory.special import path_density, row_density
from theory.symbols import c, r, u, v
from theory.threshold import Threshold, check_density, closed_form, solve

Array = NDArray[np.float64]
Which = Literal["mask", "mean", "variance"]
_ORDER: dict[str, int] = {"mask": 0, "mean": 1, "variance": 2}


def _order(which: str) -> int:
    if which not in _ORDER:
        raise ValueError(f"which must be one of {sorted(_ORDER)}, got {which!r}")
    return _ORDER[which]


@dataclass(frozen=True)
class LimitGraphon:
    """What the masks of a saliency model converge to at a density ([B] Theorem 4.7).

    ``mask``, ``variance`` and ``mean`` are SymPy expressions in the positions ``u`` (source)
    and ``v`` (target); the threshold in them prints as tau and evaluates itself to any
    precision. ``density`` may be symbolic where the threshold has a closed form.

    Raises ValueError for a density outside (0, 1].
    """

    model: SaliencyModel
    density: Any
    _threshold: sp.Expr = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        value = check_density(self.density)
        object.__setattr__(self, "density", value)
        closed = closed_form(self.model, value)
        object.__setattr__(
            self, "_threshold", closed if closed is not None else Threshold(self.model, value)
        )

    # --- expressions -----------------------------------------------------------------------
    @property
    def threshold(self) -> sp.Expr:
        """tau with ``E[P] = density``: closed form, or a number that evaluates to any precision."""
        return self._threshold

    def expression(self, which: Which = "mask", threshold: sp.Expr | None = None) -> sp.Expr:
        """The graphon ``which`` in ``u`` and ``v``; ``threshold`` replaces tau if given.

        Pass ``theory.symbols.tau`` to keep the threshold symbolic.
        """
        level = self.threshold if threshold is None else threshold
        everything = sp.S.NegativeInfinity if self.model.rule.signed else sp.S.Zero
        if level == everything:
            return (sp.S.One, sp.S.Zero, self.model.noise.variance)[_order(which)]
        expr = self.model.rule.moment(self.model.noise, _order(which), level)
        return expr.subs({r: self.model.row.at(u), c: self.model.column.at(v)}, simultaneous=True)

    @property
    def mask(self) -> sp.Expr:
        """Mask graphon ``P(u, v) = E[M]``."""
        return self.expression("mask")

    @property
    def variance(self) -> sp.Expr:
        """Variance graphon ``V(u, v) = E[w^2 M]``."""
        return self.expression("variance")

    @property
    def mean(self) -> sp.Expr:
        """Mean graphon ``mu(u, v) = E[w M]``."""
        return self.expression("mean")

    def definition(self, which: Which = "mask") -> sp.Expr:
        """The graphon as an unevaluated truncated moment of the weight law.

        ``.rewrite(sympy.Integral)`` writes the integral out and ``.doit()`` gives the closed
        form. Raises ValueError for rules that are not a one- or two-sided tail.
        """
        order = _order(which)
        t = (self.threshold / (r * c)).subs({r: self.model.row.at(u), c: self.model.column.at(v)})
        if isinstance(self.model.rule, MagnitudeRule):
            return TwoSidedTail(self.model.noise, order, t)
        if isinstance(self.model.rule, SignedRule):
            return TailMoment(self.model.noise, order, t)
        raise ValueError(f"rule {self.model.rule.name!r} is not a one- or two-sided tail")

    @property
    def is_homogeneous(self) -> bool | None:
        """Whether P is constant: True, False (both proved), or None (cannot tell)."""
        from theory.taxonomy import is_homogeneous

        return is_homogeneous(self)

    # --- averages --------------------------------------------------------------------------
    def _closed_row_average(self, moment: str) -> sp.Expr | None:
        model = self.model
        if not (
            isinstance(model.rule, MagnitudeRule)
            and isinstance(model.noise, Gaussian)
            and isinstance(model.column, HalfNormalProfile)
        ):
            return None
        scale = model.column.scale * sp.sqrt(model.noise.variance)
        x = self.threshold / (model.row.at(u) * scale)
        return row_density(x) if moment == "degree" else model.column.scale**2 * path_density(x)

    def evaluate(
        self, expr: sp.Expr, at: Mapping[sp.Symbol, Any] | None = None, digits: int = 15
    ) -> sp.Float:
        """An expression of this limit as a number: threshold solved, positions put in.

        ``at`` maps ``u`` and ``v`` to exact positions. Raises ValueError if symbols remain.
        """
        level = self.threshold.evalf(digits + 10)
        value = sp.sympify(expr).subs(self.threshold, level).subs(dict(at or {}))
        if value.free_symbols:
            raise ValueError(f"at must give values for {sorted(map(str, value.free_symbols))}")
        return sp.N(value, digits)

    def source_degree(self) -> sp.Expr:
        """``D(u) = int P(u, v) dv``: closed (Bessel-Struve) where known, else an Integral."""
        closed = self._closed_row_average("degree")
        return sp.Integral(self.mask, (v, 0, 1)) if closed is None else closed

    def target_degree(self) -> sp.Expr:
        """``int P(u, v) du`` as an unevaluated Integral (or P, if it is free of u)."""
        expr = self.mask
        return sp.Integral(expr, (u, 0, 1)) if expr.has(u) else expr

    def path_density(self) -> sp.Expr:
        """Path density of a source to a dense output: ``int c(v)^2 P(u, v) dv``.

        The output weight of target ``v`` has second moment ``c(v)^2`` once targets are sorted by
        it; closed form where the column law is half-normal and the weights Gaussian.
        """
        closed = self._closed_row_average("path")
        if closed is not None:
            return closed
        return sp.Integral(self.model.column.at(v) ** 2 * self.mask, (v, 0, 1))

    # --- values ----------------------------------------------------------------------------
    @property
    def tau(self) -> float:
        """The threshold in double precision."""
        if isinstance(self.threshold, Threshold):
            return solve(self.model, float(self.density))
        return float(self.threshold)

    def values(self, uu: Any, vv: Any, which: Which = "mask") -> Array:
        """The graphon at positions ``uu``, ``vv`` (broadcast against each other), float64."""
        rr = self.model.row(np.asarray(uu, np.float64))
        cc = self.model.column(np.asarray(vv, np.float64))
        return np.asarray(moment_values(self.model, _order(which), rr, cc, self.tau))

    def at_factors(self, rr: Any, cc: Any, which: Which = "mask") -> Array:
        """The graphon at factors ``r``, ``c`` (not positions), broadcast, float64."""
        return np.asarray(moment_values(self.model, _order(which), rr, cc, self.tau))

    def grid(self, targets: int, sources: int | None = None, which: Which = "mask") -> Array:
        """Cell averages on a uniform grid, shape ``(targets, sources)``, float64."""
        return cell_averages(lambda uu, vv: self.values(uu, vv, which), targets, sources)

    def source_degree_values(self, uu: Any, power: int = 0) -> Array:
        """``int c(v)^power P(u, v) dv`` at positions ``uu`` by quadrature, float64.

        ``power=0`` is the degree, ``power=2`` the path density to a dense output.
        """
        rr = self.model.row(np.atleast_1d(np.asarray(uu, np.float64)))
        cv, cw = nodes_given(self.model, "column", rr, self.tau)
        values = moment_values(self.model, 0, rr[:, None], cv, self.tau)
        return np.asarray((values * cw * cv**power).sum(axis=1))

    def target_degree_values(self, vv: Any) -> Array:
        """``int P(u, v) du`` at positions ``vv`` by quadrature, float64."""
        cc = self.model.column(np.atleast_1d(np.asarray(vv, np.float64)))
        rv, rw = nodes_given(self.model, "row", cc, self.tau)
        return np.asarray(
            (moment_values(self.model, 0, rv, cc[:, None], self.tau) * rw).sum(axis=1)
        )

    def total(self, which: Which = "mask") -> float:
        """``int int`` of the graphon: density for the mask, else surviving moment."""
        return average(self.model, _order(which), self.tau)

    def lambdify(self, which: Which = "mask", modules: Any = None) -> Any:
        """A function of ``(u, v)`` from the closed form, for numpy (default), mpmath or torch."""
        # As many digits as the functions can use: the solution costs more for each.
        precise = modules == "mpmath"
        level = self.threshold.evalf(30 if precise else 15)
        chosen = list(MPMATH) if precise else modules or ["scipy", "numpy"]
        return sp.lambdify((u, v), self.expression(which, level), chosen)

    def latex(self, which: Which = "mask") -> str:
        """LaTeX of the closed form."""
        return str(sp.latex(self.expression(which)))

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle P(u, v) = {self.latex()}$"
