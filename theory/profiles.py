"""Profiles: what the factors of a saliency score look like as functions of a position in [0, 1].

A profile is a non-negative function of the position. Used for sources it is [B]'s row profile
``r(u)``; used for targets it is the quantile function ``c(v)`` of the column law. It may be a
SymPy expression, a Python callable, or the values of a finite sample; the first can be reasoned
about, the others can only be evaluated.

Every profile also supplies quadrature nodes for averages over its position, because every
limit quantity (density equation, degree function, path density) is such an average.
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory.law_student import MPMATH

Array = NDArray[np.float64]

_POSITION = sp.Symbol("position", nonnegative=True)


@lru_cache(maxsize=8)
def _graded_rule(levels: int, order: int) -> tuple[Array, Array]:
    """Composite Gauss-Legendre rule on (0, 1), graded geometrically towards both ends.

    Quantile functions have logarithmic or power singularities at 0 and 1; on panels that
    shrink geometrically towards them Gauss rules converge exponentially all the same.
    """
    left = 0.5 * 3.0 ** -np.arange(levels, -1, -1, dtype=np.float64)
    half = np.concatenate(([0.0], left))
    edges = np.concatenate((half, 1.0 - half[-2::-1]))
    x, w = np.polynomial.legendre.leggauss(order)
    width = np.diff(edges)
    nodes = (edges[:-1, None] + 0.5 * width[:, None] * (x + 1.0)).ravel()
    weights = (0.5 * width[:, None] * w).ravel()
    return nodes, weights


class Profile(ABC):
    """A non-negative function of the position in [0, 1]."""

    name: str = "profile"
    bounded: bool | None = None
    """True or False where it is known whether the profile is bounded, else None."""
    convergent: bool | None = True
    """Whether the step functions of a growing network converge to this profile (Thm 4.7)."""

    @abstractmethod
    def __call__(self, x: Array) -> Array:
        """Values at positions ``x`` (any shape, in (0, 1)), float64."""

    @abstractmethod
    def at(self, position: sp.Expr) -> sp.Expr:
        """The profile as a SymPy expression at a symbolic position."""

    def at_mp(self, x: Any) -> Any:
        """The value at an mpmath position, to the working precision of mpmath.

        Raises TypeError where the profile is only known in double precision.
        """
        raise TypeError(f"profile {self.name!r} is known in double precision only")

    @property
    def expr(self) -> sp.Expr | None:
        """The closed form in the symbol ``position``, or None if there is none."""
        return None

    @property
    def constant(self) -> sp.Expr | None:
        """The value of a profile that does not depend on the position, else None."""
        return None

    @property
    def zero_share(self) -> float:
        """Measure of the positions where the profile vanishes."""
        values, weights = self.nodes()
        return float(weights[values <= 0.0].sum())

    def nodes(self) -> tuple[Array, Array]:
        """Values at quadrature nodes and their weights: ``E f(profile) ~ sum w f(values)``."""
        x, weights = _graded_rule(24, 10)
        return self(x), weights

    def _key(self) -> tuple[Any, ...]:
        return (type(self).__name__, self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Profile) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"


def _real(values: Any, name: str) -> Array:
    if np.iscomplexobj(values):
        raise ValueError(f"{name} must be real everywhere on (0, 1); it has complex values")
    return np.asarray(values, dtype=np.float64)


def _checked(values: Any, name: str) -> Array:
    array = _real(values, name)
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be finite everywhere on (0, 1); it has NaN or infinity")
    if np.any(array < 0):
        raise ValueError(f"{name} must be non-negative everywhere on (0, 1)")
    return array


@lru_cache(maxsize=256)
def _is_constant(expr: sp.Expr) -> bool:
    return bool(sp.simplify(sp.diff(expr, _POSITION)) == 0)


@lru_cache(maxsize=256)
def _compiled(expr: sp.Expr) -> tuple[Any, Any]:
    """An expression in the position as functions of arrays and of mpmath numbers."""
    return (
        sp.lambdify(_POSITION, expr, modules=["scipy", "numpy"]),
        sp.lambdify(_POSITION, expr, modules=list(MPMATH)),
    )


@lru_cache(maxsize=1)
def _half_normal_rule() -> tuple[Array, Array]:
    """Nodes and weights for E f(|g|); read-only."""
    # In the variable |g| the integrand is analytic; the tail beyond 12 is below 1e-32.
    x, w = np.polynomial.legendre.leggauss(12)
    edges = np.concatenate(([0.0], np.geomspace(1e-3, 12.0, 20)))
    width = np.diff(edges)
    g = (edges[:-1, None] + 0.5 * width[:, None] * (x + 1.0)).ravel()
    weights = (0.5 * width[:, None] * w).ravel() * np.sqrt(2.0 / np.pi) * np.exp(-0.5 * g**2)
    weights.flags.writeable = False
    return g, weights


class SymbolicProfile(Profile):
    """A profile given by a SymPy expression in one free symbol.

    Parameters: ``expr`` is the expression (its free symbol is the position); ``bounded`` and
    ``name`` may be stated. Raises ValueError for more than one free symbol, and for an
    expression that is negative or not finite on a test grid of (0, 1).
    """

    def __init__(self, expr: Any, *, name: str | None = None, bounded: bool | None = None) -> None:
        expr = sp.sympify(expr)
        free = sorted(expr.free_symbols, key=str)
        if len(free) > 1:
            raise ValueError(
                f"expr must have one free symbol, the position; got {[str(s) for s in free]}"
            )
        self._expr: sp.Expr = expr.subs(free[0], _POSITION) if free else expr
        self.name = name if name is not None else str(self._expr)
        self._np, self._mp = _compiled(self._expr)
        probe = np.concatenate((_graded_rule(24, 10)[0], np.linspace(0.01, 0.99, 99)))
        values = _checked(self._values(probe), "expr")
        if not np.any(values > 0):
            raise ValueError("expr must not vanish everywhere: an all-zero score has no mask")
        self.bounded = bounded if bounded is not None else self._is_bounded()

    def _values(self, x: Array) -> Array:
        with np.errstate(all="ignore"):
            out = _real(self._np(x), self.name)
        return np.broadcast_to(out, np.shape(x)).astype(np.float64)

    def _is_bounded(self) -> bool | None:
        """Bounded iff both end limits are finite, for expressions continuous inside (0, 1)."""
        try:
            ends = [sp.limit(self._expr, _POSITION, e, s) for e, s in ((0, "+"), (1, "-"))]
        except (NotImplementedError, ValueError, TypeError):
            return None
        if any(e.is_infinite for e in ends):
            return False
        return True if all(e.is_finite for e in ends) else None

    def __call__(self, x: Array) -> Array:
        return _checked(self._values(np.asarray(x, dtype=np.float64)), self.name)

    def at(self, position: sp.Expr) -> sp.Expr:
        return self._expr.subs(_POSITION, position)

    def at_mp(self, x: Any) -> Any:
        return mp.mpf(self._mp(x))

    @property
    def expr(self) -> sp.Expr | None:
        return self._expr

    @property
    def constant(self) -> sp.Expr | None:
        return self._expr if _is_constant(self._expr) else None

    def nodes(self) -> tuple[Array, Array]:
        if self.constant is not None:
            return np.array([float(self._expr)]), np.array([1.0])
        return super().nodes()

    def _key(self) -> tuple[Any, ...]:
        return ("SymbolicProfile", self._expr)


class ConstantProfile(SymbolicProfile):
    """The same factor everywhere: what a criterion that ignores the data has."""

    def __init__(self, value: Any = 1) -> None:
        value = sp.sympify(value)
        if value.free_symbols or not value.is_positive:
            raise ValueError(f"value must be a positive number, got {value}")
        super().__init__(value, name=str(value), bounded=True)


class HalfNormalProfile(SymbolicProfile):
    """Quantile function of ``scale * |g|``, ``g ~ N(0, 1)``.

    This is the column law of a one-hidden-layer network with Gaussian output weights
    (``c = |a|``) and the row law of a Gaussian teacher with isotropic coefficients.
    """

    def __init__(self, scale: Any = 1) -> None:
        self.scale = sp.sympify(scale)
        if self.scale.free_symbols or not self.scale.is_positive:
            raise ValueError(f"scale must be a positive number, got {scale}")
        super().__init__(
            self.scale * sp.sqrt(2) * sp.erfinv(_POSITION),
            name=f"half-normal({self.scale})",
            bounded=False,
        )

    def nodes(self) -> tuple[Array, Array]:
        g, weights = _half_normal_rule()
        return float(self.scale) * g, weights

    def nodes_around(self, breaks: Array) -> tuple[Array, Array]:
        """Nodes graded towards a value where the integrand is not smooth, one row per break.

        ``breaks`` has shape (m,), values and weights (m, k); breaks beyond the range do nothing.
        """
        x, w = np.polynomial.legendre.leggauss(12)
        at = np.minimum(np.asarray(breaks, np.float64) / float(self.scale), 12.0)[:, None]
        steps = np.geomspace(1e-9, 12.0, 16)
        plain = np.broadcast_to(np.geomspace(1e-3, 12.0, 20), (at.size, 20))
        edges = np.concatenate((0.0 * at, plain, at, at + steps, at - steps), axis=1)
        edges = np.sort(np.clip(edges, 0.0, 12.0), axis=1)
        width = np.diff(edges, axis=1)[:, :, None]
        g = (edges[:, :-1, None] + 0.5 * width * (x + 1.0)).reshape(at.size, -1)
        weights = (0.5 * width * w).reshape(at.size, -1)
        return float(self.scale) * g, weights * np.sqrt(2.0 / np.pi) * np.exp(-0.5 * g**2)


class CallableProfile(Profile):
    """A profile given by a vectorised function of positions, known in double precision only.

    Raises ValueError if its values on a test grid of (0, 1) are negative or not finite.
    """

    convergent = None

    def __init__(
        self, function: Callable[[Array], Any], *, name: str = "r", bounded: bool | None = None
    ) -> None:
        self._function = function
        self.name = name
        self.bounded = bounded
        self._applied = sp.Function(name, nonnegative=True)
        self(np.linspace(0.005, 0.995, 100))

    def __call__(self, x: Array) -> Array:
        x = np.asarray(x, dtype=np.float64)
        return np.broadcast_to(_checked(self._function(x), self.name), x.shape)

    def at(self, position: sp.Expr) -> sp.Expr:
        return self._applied(position)

    def _key(self) -> tuple[Any, ...]:
        return ("CallableProfile", self.name, id(self._function))


class EmpiricalProfile(Profile):
    """The quantile step function of a finite sample, e.g. the row factors of one data set.

    ``values`` has shape (m,), finite and non-negative; order does not matter. Averages over the
    position are exact sums. A single sample says nothing about a limit, so Theorem 4.7's
    convergence hypothesis is left open (``convergent = None``).
    """

    convergent = None

    def __init__(self, values: Sequence[float] | Array, *, name: str = "r") -> None:
        array = _real(values, name)
        if array.ndim != 1 or array.size == 0:
            raise ValueError(f"values must be a non-empty vector, got shape {array.shape}")
        self._sorted = np.sort(_checked(array, name))
        if self._sorted[-1] == 0.0:
            raise ValueError(f"{name} must not vanish everywhere: an all-zero score has no mask")
        self.name = name
        self.bounded = True
        self._applied = sp.Function(name, nonnegative=True)

    def __call__(self, x: Array) -> Array:
        x = np.asarray(x, dtype=np.float64)
        index = np.clip((x * self._sorted.size).astype(np.int64), 0, self._sorted.size - 1)
        return self._sorted[index]

    def at(self, position: sp.Expr) -> sp.Expr:
        return self._applied(position)

    def at_mp(self, x: Any) -> Any:
        return mp.mpf(float(self(np.array(float(x)))))

    def nodes(self) -> tuple[Array, Array]:
        return self._nodes

    @cached_property
    def _nodes(self) -> tuple[Array, Array]:
        values, counts = np.unique(self._sorted, return_counts=True)
        weights = counts / self._sorted.size
        for array in (values, weights):
            array.flags.writeable = False
        return values, weights

    def _key(self) -> tuple[Any, ...]:
        return ("EmpiricalProfile", self._sorted.tobytes())


def as_profile(value: Any, argument: str) -> Profile:
    """Turn a number, SymPy expression, callable or sample into a :class:`Profile`.

    Raises ValueError or TypeError naming ``argument``.
    """
    if isinstance(value, Profile):
        return value
    try:
        if isinstance(value, (numbers.Real, sp.Expr, str)):
            expr = sp.sympify(value)
            if not isinstance(expr, sp.Expr):
                raise ValueError(f"a number or an expression is needed, got {value!r}")
            return SymbolicProfile(expr) if expr.free_symbols else ConstantProfile(expr)
        if callable(value):
            return CallableProfile(value, name=argument.split("_")[0][0])
        if isinstance(value, (Sequence, np.ndarray)):
            return EmpiricalProfile(np.asarray(value), name=argument.split("_")[0][0])
    except (ValueError, sp.SympifyError) as error:
        raise ValueError(f"{argument}: {error}") from error
    raise TypeError(
        f"{argument} must be a Profile, a number, a SymPy expression in the position, a callable "
        f"or a vector of values; got {type(value).__name__}"
    )
