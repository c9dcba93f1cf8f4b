"""Saliency models: how a pruning criterion scores an edge, and which weights it keeps.

The conditional model: sources have a latent factor ``r``, targets a latent factor ``c``, edges
i.i.d. noise ``w`` (usually the weight itself, in units of its standard deviation), and the score
is ``s(r, c, w)``. The ``ceil``-free share ``rho`` of the edges with the largest scores is kept.
The factorised model of [B] Section 4 (reconstructed) is the special case ``s = r c zeta``.

A :class:`Rule` knows, for one shape of score, which weights pass a threshold ``tau``. From that
follow three functions, not one, because a mask that looked at the weights changes their law:

* mask graphon ``P = E[M]``, the density of kept weights,
* variance graphon ``V = E[w^2 M]``, the second moment that survives,
* mean graphon ``mu = E[w M]``, zero iff the rule is even in ``w``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sympy as sp

from theory.laws import Law
from theory.profiles import ConstantProfile, Profile
from theory.symbols import c, r, tau, w

if TYPE_CHECKING:
    from theory.limit import LimitGraphon


@dataclass(frozen=True)
class Rule(ABC):
    """The shape of a score and the set of weights that it keeps.

    ``weight_is_noise`` says whether the score sees the weight; ``factorised`` whether the score
    is ``r c zeta``; ``even`` whether it is even in the weight (then the mean graphon vanishes).
    """

    @property
    def name(self) -> str:
        """The rule's name in tables."""
        return type(self).__name__.lower()

    weight_is_noise = True
    factorised = True
    even = True
    signed = False
    """Whether scores, and so the threshold, take both signs."""

    @property
    @abstractmethod
    def score(self) -> sp.Expr:
        """The score in the symbols ``r``, ``c``, ``w``."""

    @abstractmethod
    def moment(self, law: Law, order: int, threshold: sp.Expr = tau) -> sp.Expr:
        """``E[w^order; s(r, c, w) >= threshold]`` in the symbols ``r`` and ``c``.

        ``order`` is 0 (mask), 1 (mean) or 2 (variance); other orders raise ValueError.
        """


def _order(order: int) -> int:
    if order not in (0, 1, 2):
        raise ValueError(f"order must be 0 (mask), 1 (mean) or 2 (variance), got {order}")
    return order


def _above(law: Law, order: int, x: sp.Expr) -> sp.Expr:
    """``E[w^order; w >= x]`` for real ``x``."""
    return (law.survival, law.mean_above, law.second_above)[_order(order)](x)


@dataclass(frozen=True)
class MagnitudeRule(Rule):
    """``s = |w| r c``: Magnitude, SNIP, |GraSP| and one-hidden-layer SynFlow."""

    @property
    def score(self) -> sp.Expr:
        """``|w| r c``."""
        return sp.Abs(w) * r * c

    def moment(self, law: Law, order: int, threshold: sp.Expr = tau) -> sp.Expr:
        """Two-sided tail moments at ``t = tau / (r c)``; ``tau >= 0`` since scores are."""
        t = threshold / (r * c)
        if _order(order) == 1:
            return sp.S.Zero
        return law.two_sided_survival(t) if order == 0 else law.two_sided_second(t)


@dataclass(frozen=True)
class SignedRule(Rule):
    """``s = w r c``: GraSP without the absolute value.

    The weight is taken in the orientation of its score: with ``s = -w r c`` replace ``w`` by
    ``-w``, which only changes the sign of the mean graphon (the laws are symmetric).
    """

    even = False
    signed = True

    @property
    def score(self) -> sp.Expr:
        """``w r c``."""
        return w * r * c

    def moment(self, law: Law, order: int, threshold: sp.Expr = tau) -> sp.Expr:
        """One-sided tail moments at ``t = tau / (r c)``, ``tau`` of either sign."""
        return _above(law, order, threshold / (r * c))


@dataclass(frozen=True)
class IndependentRule(Rule):
    """A score that ignores the weight: Random pruning."""

    weight_is_noise = False
    signed = True

    @property
    def score(self) -> sp.Expr:
        """The noise ``w`` alone, which for this rule is not the weight."""
        return w

    def moment(self, law: Law, order: int, threshold: sp.Expr = tau) -> sp.Expr:
        """``Pr[keep]`` times the moment of an independent weight of the same law."""
        keep = law.survival(threshold)
        return (keep, sp.S.Zero, keep * law.variance)[_order(order)]


@dataclass(frozen=True)
class OffsetRule(Rule):
    """``s = |w| |r + B w| c``: SNIP where the output has an offset ``e_0 = E[f - y]``.

    With an activation that is not odd, Stein's lemma leaves a term ``e_0 E[sigma''] w`` beside
    the data term ``r``; the score is then conditional on the factors but no product of them.
    ``offset`` is ``B > 0`` in the units of ``r`` (the sign of ``B w`` against ``r`` is absorbed
    in the symmetric law of ``w``). Raises ValueError for a non-positive offset.
    """

    offset: Any = 1
    factorised = False
    even = False

    def __post_init__(self) -> None:
        value = sp.sympify(self.offset)
        if not value.free_symbols and not value.is_positive:
            raise ValueError(f"offset must be positive, got {self.offset}; without one use 'snip'")
        object.__setattr__(self, "offset", value)

    @property
    def score(self) -> sp.Expr:
        """``|w| |r + B w| c``."""
        return sp.Abs(w) * sp.Abs(r + self.offset * w) * c

    def intervals(self, threshold: sp.Expr = tau) -> list[tuple[sp.Expr, sp.Expr]]:
        """The kept weights ``|B w^2 + r w| >= threshold / c`` as disjoint intervals.

        Outside the outer roots always; between the inner roots only where ``r^2 > 4 B t``: where
        that fails the maximum makes the inner interval a point. Roots are written so that no
        digits cancel when the offset is small.
        """
        b, t = self.offset, threshold / c
        outer = sp.sqrt(r**2 + 4 * b * t)
        inner = sp.sqrt(sp.Max(0, r**2 - 4 * b * t))
        low = -(r + inner) / (2 * b)
        return [
            (2 * t / (r + outer), sp.oo),
            (-sp.oo, -(r + outer) / (2 * b)),
            (low, sp.Max(low, -2 * t / (r + inner))),
        ]

    def moment(self, law: Law, order: int, threshold: sp.Expr = tau) -> sp.Expr:
        """Sum over the kept intervals of the law's truncated moments."""
        total = {0: sp.S.One, 1: sp.S.Zero, 2: law.variance}[_order(order)]
        value = sp.S.Zero
        for low, high in self.intervals(threshold):
            value += total if low is -sp.oo else _above(law, order, low)
            value -= sp.S.Zero if high is sp.oo else _above(law, order, high)
        return value


@dataclass(frozen=True)
class SaliencyModel:
    """A criterion's score law: factors of sources and targets, noise, and a rule.

    ``row`` is the profile of the sources, ``column`` that of the targets (a quantile function),
    ``noise`` the law of the weights, ``rule`` the shape of the score, ``name`` what tables call
    it. Latents are i.i.d. given positions; a real network's score follows such a model exactly
    or asymptotically, see the claims.
    """

    name: str
    rule: Rule
    noise: Law
    row: Profile = ConstantProfile(1)  # noqa: RUF009 - profiles are immutable
    column: Profile = ConstantProfile(1)  # noqa: RUF009

    @property
    def score(self) -> sp.Expr:
        """The score as an expression in the symbols ``r``, ``c``, ``w``."""
        return self.rule.score

    @property
    def weight_is_noise(self) -> bool:
        """False where the score ignores the weight (Random)."""
        return self.rule.weight_is_noise

    @property
    def factorised(self) -> bool:
        """Whether this is [B]'s factorised saliency model."""
        return self.rule.factorised

    def limit(self, density: Any) -> LimitGraphon:
        """The limit of this model's masks at a density in (0, 1]; see :class:`LimitGraphon`.

        Raises ValueError for a number outside (0, 1].
        """
        from theory.limit import LimitGraphon

        return LimitGraphon(self, density)
