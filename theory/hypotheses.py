"""The hypotheses of [B] Theorem 4.7 as questions that a concrete setting can answer.

The text of [B] is not to hand; the list is reconstructed from the theorem's outline ("A-growth
to A-threshold") and from what the proof needs. Each predicate answers *holds*, *fails* (with
the reason) or *cannot tell*: a finite sample, for one, says nothing about a limit.

What the theorem needs and what is merely sufficient are told apart: ``NEEDED`` names the
hypotheses without which the claims exhibit masks that do not converge to P.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import sympy as sp

from theory.averages import mean_density
from theory.law_base import Law
from theory.saliency import IndependentRule, SaliencyModel
from theory.symbols import n
from theory.threshold import check_density, solve

_HALF = sp.Rational(1, 2)


class Holds(StrEnum):
    """A three-valued answer."""

    HOLDS = "holds"
    FAILS = "fails"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Answer:
    """What a predicate found: the answer and the reason for it."""

    hypothesis: str
    verdict: Holds
    reason: str


class SignLaw(Law):
    """Weights of one magnitude, ``+-scale`` with equal chance: a law with atoms.

    Not registered among the weight laws, which all have densities; it exists to show what
    Theorem 4.7's continuity hypothesis is for. Raises ValueError unless ``scale`` is positive.
    """

    name = "sign"
    continuous = False

    def __new__(cls, scale: Any = 1) -> SignLaw:
        scale = sp.sympify(scale)
        if not scale.is_positive:
            raise ValueError(f"scale must be positive, got {scale}")
        return sp.Basic.__new__(cls, scale)

    @property
    def scale(self) -> sp.Expr:
        """The magnitude, which is also the standard deviation."""
        return self.args[0]

    @property
    def half_width(self) -> sp.Expr:
        """Largest value."""
        return self.scale

    def _inner_density(self, x: sp.Expr) -> sp.Expr:
        raise ValueError("SignLaw has no density")

    def _inner_survival(self, x: sp.Expr) -> sp.Expr:
        return _HALF

    def _inner_mean(self, x: sp.Expr) -> sp.Expr:
        return self.scale / 2

    def _inner_second(self, x: sp.Expr) -> sp.Expr:
        return self.scale**2 / 2

    def _clip(
        self, x: sp.Expr, inner: Callable[[sp.Expr], sp.Expr], above: sp.Expr, below: sp.Expr
    ) -> sp.Expr:
        # At its two points a law with atoms jumps: w >= -scale is certain, w >= scale is not.
        a = self.half_width
        return sp.Piecewise((above, x > a), (below, x <= -a), (inner(x), True))

    def two_sided_survival(self, t: Any) -> sp.Expr:
        """``Pr[|w| >= t]``: one up to and including ``scale``, zero above."""
        return sp.Piecewise((sp.S.One, sp.sympify(t) <= self.scale), (sp.S.Zero, True))

    def two_sided_second(self, t: Any) -> sp.Expr:
        """``E[w^2; |w| >= t]``: all of the variance up to and including ``scale``."""
        return self.variance * self.two_sided_survival(t)

    def quantile(self, p: Any) -> sp.Expr:
        """The quantile function, a step at one half."""
        return sp.Piecewise((-self.scale, sp.sympify(p) <= _HALF), (self.scale, True))

    def two_sided_quantile(self, rho: Any) -> sp.Expr:
        """The only magnitude there is."""
        return self.scale

    @property
    def latex(self) -> str:
        """LaTeX of the law."""
        return rf"\pm {sp.latex(self.scale)}"


@dataclass(frozen=True)
class Setting:
    """A growing family of masks: a model, a density, sizes, and how the noise is drawn.

    ``sources`` and ``targets`` are expressions in the width ``n`` (``theory.symbols.n``).
    ``noise_unit`` is "edge" for independent noise per edge, "source" or "target" where one
    draw is shared. ``density_sequence`` may give the density as an expression in ``n``.
    ``row_sequence`` and ``column_sequence`` list the profiles that recur infinitely often along
    the family; more than one different profile means no limit.
    Raises ValueError for an unknown noise unit or a density outside (0, 1].
    """

    model: SaliencyModel
    density: Any
    sources: sp.Expr = n
    targets: sp.Expr = n
    noise_unit: str = "edge"
    row_sequence: tuple[Any, ...] = ()
    column_sequence: tuple[Any, ...] = ()
    density_sequence: sp.Expr | None = field(default=None)

    def __post_init__(self) -> None:
        check_density(self.density)
        if self.noise_unit not in ("edge", "source", "target"):
            raise ValueError(
                f"noise_unit must be 'edge', 'source' or 'target', got {self.noise_unit!r}"
            )
        for name in ("sources", "targets"):
            expr = sp.sympify(getattr(self, name))
            if expr.free_symbols - {n}:
                raise ValueError(f"{name} must be an expression in n, got {expr}")
            object.__setattr__(self, name, expr)


Predicate = Callable[[Setting], tuple[Holds, str]]


def _limit(expr: sp.Expr) -> sp.Expr | None:
    """The limit of an expression as the width grows, or None where SymPy does not find it."""
    try:
        end = sp.limit(expr, n, sp.oo)
    except NotImplementedError:
        return None
    return None if end.has(sp.Limit) else end


def _growth(setting: Setting) -> tuple[Holds, str]:
    for name, expr in (("sources", setting.sources), ("targets", setting.targets)):
        end = _limit(expr)
        if end is None:
            return Holds.CANNOT_TELL, f"limit of {name} = {expr} is not known"
        if end is not sp.oo:
            return Holds.FAILS, f"{name} = {expr} stays at {end} as n grows"
    return Holds.HOLDS, f"sources = {setting.sources} and targets = {setting.targets} both diverge"


def _sequence(items: tuple[Any, ...], what: str) -> tuple[Holds, str] | None:
    if len(set(items)) > 1:
        return Holds.FAILS, f"{what} alternate between {len(set(items))} limits: none of them is it"
    return None


def _row_convergence(setting: Setting) -> tuple[Holds, str]:
    found = _sequence(setting.row_sequence, "row profiles")
    if found:
        return found
    if setting.model.row.convergent:
        return Holds.HOLDS, f"steps of r(u) = {setting.model.row.name} converge in L1"
    return Holds.CANNOT_TELL, "the row profile is known by values only; its limit is not"


def _row_bounded(setting: Setting) -> tuple[Holds, str]:
    row = setting.model.row
    if row.bounded is None:
        return Holds.CANNOT_TELL, f"no bound is known for r = {row.name}"
    if not row.bounded:
        return Holds.FAILS, f"r = {row.name} is unbounded"
    return Holds.HOLDS, f"r = {row.name} is bounded"


def _column_law(setting: Setting) -> tuple[Holds, str]:
    found = _sequence(setting.column_sequence, "column laws")
    if found:
        return found
    if setting.model.column.convergent:
        return Holds.HOLDS, "i.i.d. factors: the empirical CDF converges (Glivenko-Cantelli)"
    return Holds.CANNOT_TELL, "the column law is known by values only; its limit is not"


def _independence(setting: Setting) -> tuple[Holds, str]:
    if setting.noise_unit == "edge":
        return Holds.HOLDS, "one independent draw per edge"
    return Holds.FAILS, f"one draw is shared by all edges of a {setting.noise_unit}"


def _continuity(setting: Setting) -> tuple[Holds, str]:
    noise = setting.model.noise
    if getattr(noise, "continuous", True):
        return Holds.HOLDS, f"the {noise.name} law has a density"
    return Holds.FAILS, f"the {noise.name} law has atoms"


def _atom_mass(model: SaliencyModel, level: float) -> float:
    """Mass that the score puts within a relative 1e-7 of a level: an atom if it stays put."""
    width = max(abs(level) * 1e-7, 1e-12)
    return mean_density(model, level - width) - mean_density(model, level + width)


def _threshold(setting: Setting) -> tuple[Holds, str]:
    if setting.density_sequence is not None:
        end = _limit(sp.sympify(setting.density_sequence))
        if end is None:
            return Holds.CANNOT_TELL, f"limit of {setting.density_sequence} is not known"
        # SymPy's floats equal no rational, so the difference is asked.
        if isinstance(end, sp.AccumBounds) or not (end - sp.sympify(setting.density)).is_zero:
            return (
                Holds.FAILS,
                f"densities {setting.density_sequence} tend to {end}, so tau does not",
            )
    model, density = setting.model, sp.sympify(setting.density)
    if density.free_symbols:
        return Holds.CANNOT_TELL, "the density is symbolic"
    try:
        level = solve(model, float(density))
    except ValueError as error:
        return Holds.FAILS, f"no threshold has this density: {error}"
    if not np.isfinite(level) or (float(density) == 1.0 and not model.rule.signed):
        return Holds.HOLDS, "everything is kept"
    mass = _atom_mass(model, level)
    if mass > 1e-3:
        return Holds.FAILS, f"the score has an atom of mass {mass:.4g} at tau"
    if mass < 1e-13 and not isinstance(model.rule, IndependentRule):
        return Holds.FAILS, "the score has no mass near tau: tau is not unique (harmless for P)"
    return Holds.HOLDS, f"the score has positive density at tau = {level:.6g}"


PREDICATES: dict[str, Predicate] = {
    "growth": _growth,
    "row convergence": _row_convergence,
    "row bounded": _row_bounded,
    "column law": _column_law,
    "independent noise": _independence,
    "continuous noise": _continuity,
    "threshold": _threshold,
}
"""Every hypothesis by name, in the order of the theorem's statement."""

NEEDED = (
    "growth",
    "row convergence",
    "column law",
    "independent noise",
    "continuous noise",
    "threshold",
)
"""Hypotheses with a counterexample (of the threshold's, only that it exists and is no atom).

Boundedness of the rows and uniqueness of tau turn out not to be needed.
"""


def check(setting: Setting) -> dict[str, Answer]:
    """Ask every hypothesis of Theorem 4.7 of a setting; keys are the names in ``PREDICATES``."""
    return {name: Answer(name, *predicate(setting)) for name, predicate in PREDICATES.items()}


def applies(setting: Setting) -> Holds:
    """Whether Theorem 4.7 applies as stated: the weakest of its hypotheses' answers."""
    verdicts = {answer.verdict for answer in check(setting).values()}
    for verdict in (Holds.FAILS, Holds.CANNOT_TELL):
        if verdict in verdicts:
            return verdict
    return Holds.HOLDS
