"""The registry of dual activations, and activations of one's own.

>>> dual("relu").degree
1
>>> dual(sp.Abs(sp.Symbol("x"))).parity
'even'
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory.dual import DualActivation, Parity, q, q11, q12, q22, z
from theory.dual_expansion import Expanded, Sigmoid, SiLU, Softplus, Tanh
from theory.dual_pieces import pieces
from theory.dual_piecewise import ABReLU, Abs, LeakyReLU, RectifiedPower, ReLU, Sign, Step
from theory.dual_polynomial import Hermite, Monomial, Polynomial
from theory.dual_smooth import GELU, Erf, Gabor, Gaussian, SigmoidLike
from theory.dual_waves import Cos, Exp, ExpNormalized, Rbf, Sin

__all__ = [
    "ABReLU",
    "Abs",
    "Cos",
    "CustomDual",
    "DUALS",
    "DualActivation",
    "Erf",
    "Exp",
    "ExpNormalized",
    "Expanded",
    "GELU",
    "Gabor",
    "Gaussian",
    "Hermite",
    "KERNEL_MAPS",
    "LeakyReLU",
    "Monomial",
    "Polynomial",
    "Rbf",
    "ReLU",
    "RectifiedPower",
    "SiLU",
    "Sigmoid",
    "SigmoidLike",
    "Sign",
    "Sin",
    "Softplus",
    "Step",
    "Tanh",
    "dual",
    "q",
    "q11",
    "q12",
    "q22",
    "z",
]

DUALS: Final[dict[str, DualActivation]] = {
    each.name: each
    for each in (
        ReLU(),
        LeakyReLU(),
        ABReLU(),
        Abs(),
        RectifiedPower(),
        Step(),
        Sign(),
        Erf(),
        SigmoidLike(),
        GELU(),
        Sin(),
        Cos(),
        Rbf(),
        Exp(),
        Gaussian(),
        Gabor(),
        Monomial(),
        Polynomial(),
        Hermite(),
        Tanh(),
        Sigmoid(),
        Softplus(),
        SiLU(),
    )
}
"""Every elementwise activation by name, with its family's default parameters."""

KERNEL_MAPS: Final[dict[str, DualActivation]] = {ExpNormalized.name: ExpNormalized()}
"""Maps of covariances that no elementwise activation has; their ``expr`` raises ValueError."""


class CustomDual(DualActivation):
    """An activation of one's own: an expression in ``z``, or a vectorised NumPy function.

    From an expression, ``parity``, ``degree``, ``kinks`` and ``weakly_differentiable`` are found
    exactly; a property that SymPy cannot settle is None (parity, degree), no kinks, or False
    (weak differentiability), and any of them may be given instead. ``function`` is the numeric
    callable or None; then ``expr``, and every dual, raises ValueError, since there is no formula.

    Raises
    ------
    ValueError
        If an expression has symbols other than ``z``, or a function does not keep the shape.
    TypeError
        If the activation is neither, or a property has the wrong type.
    """

    name = "custom"
    closed = False
    strip = None

    def __init__(
        self,
        activation: sp.Expr | Callable[[NDArray[np.float64]], NDArray[np.float64]],
        *,
        parity: Parity | None = None,
        degree: Any = None,
        kinks: tuple[Any, ...] | None = None,
        weakly_differentiable: bool | None = None,
    ) -> None:
        if parity not in (None, "even", "odd"):
            raise ValueError(f"parity must be 'even', 'odd' or None, got {parity!r}")
        self.function: Callable[..., Any] | None = None
        self._expr: sp.Expr | None = None
        self.parity, self.degree = parity, degree
        if isinstance(activation, sp.Expr):
            self._read(activation)
        elif callable(activation):
            self.function = activation
            self.name = getattr(activation, "__name__", "custom")
            _probe(activation)
        else:
            raise TypeError(
                "activation must be a SymPy expression in z or a NumPy function, "
                f"got {type(activation).__name__}"
            )
        if kinks is not None:
            self.kinks = tuple(sp.sympify(point) for point in kinks)
        if weakly_differentiable is not None:
            self.weakly_differentiable = bool(weakly_differentiable)

    def _read(self, expr: sp.Expr) -> None:
        others = expr.free_symbols - {z}
        if others:
            names = ", ".join(sorted(map(str, others)))
            raise ValueError(f"activation must be an expression in z alone, it also has {names}")
        self._expr = expr
        found = pieces(expr)
        if found is None:
            self.weakly_differentiable = False
            return
        self.kinks = found.kinks
        self.weakly_differentiable = found.lipschitz
        self.parity = self.parity or found.parity
        self.degree = found.degree if self.degree is None else self.degree

    @property
    def expr(self) -> sp.Expr:
        """The activation in ``z``; ValueError if it is a numeric function."""
        if self._expr is None:
            raise ValueError(f"activation {self.name!r} is a numeric function and has no formula")
        return self._expr

    @property
    def derivative(self) -> sp.Expr:
        """The derivative in ``z``, almost everywhere; ValueError if there is no formula."""
        found = pieces(self.expr)
        if found is None or not found.points:
            return self.expr.diff(z)
        slopes = [part.diff(z) for part in found.parts]
        branches = [(slope, z < point) for slope, point in zip(slopes, found.points, strict=False)]
        return sp.Piecewise(*branches, (slopes[-1], True))

    def _key(self) -> tuple[Any, ...]:
        return (type(self), self._expr, self.function)

    def __repr__(self) -> str:
        return f"CustomDual({self.name if self._expr is None else self._expr})"


def _probe(function: Callable[..., Any]) -> None:
    """Refuse a function that is not elementwise on arrays."""
    points = np.linspace(-1.0, 1.0, 6).reshape(2, 3)
    try:
        image = np.asarray(function(points), dtype=float)
    except Exception as error:
        raise TypeError(
            f"activation must be a function on NumPy arrays; it raised {error!r}"
        ) from error
    if image.shape != points.shape:
        raise ValueError(
            f"activation must keep the shape of its argument, got {image.shape} from {points.shape}"
        )


def dual(value: Any, **parameters: Any) -> DualActivation:
    """The dual activation that ``value`` stands for.

    Parameters
    ----------
    value
        A name in :data:`DUALS` or :data:`KERNEL_MAPS`, a :class:`DualActivation`, a SymPy
        expression in one symbol, a function of a SymPy symbol, or a vectorised NumPy function.
    parameters
        For a name, the family's parameters (``dual("leaky_relu", alpha=0.1)``); for an expression
        or function, what :class:`CustomDual` takes.

    Raises
    ------
    ValueError
        For an unknown name or parameter, an expression with several symbols, or a function that
        does not keep the shape.
    TypeError
        For anything else.
    """
    if isinstance(value, str):
        known = DUALS | KERNEL_MAPS
        if value not in known:
            raise ValueError(f"value must be one of {sorted(known)}, got {value!r}")
        unknown = sorted(set(parameters) - set(known[value].parameters))
        if unknown:
            raise ValueError(
                f"parameters of {value!r} must be among {known[value].parameters}, got {unknown}"
            )
        return type(known[value])(**parameters) if parameters else known[value]
    if isinstance(value, DualActivation):
        if parameters:
            raise ValueError(f"parameters must be empty for an activation, got {parameters}")
        return value
    unknown = sorted(set(parameters) - {"parity", "degree", "kinks", "weakly_differentiable"})
    if unknown:
        raise ValueError(f"parameters of a custom activation must be its properties, got {unknown}")
    if isinstance(value, sp.Expr):
        return CustomDual(_in_z(value), **parameters)
    if callable(value):
        formula = _formula(value)
        return CustomDual(value if formula is None else formula, **parameters)
    raise TypeError(
        "value must be a name, a DualActivation, a SymPy expression or a function, "
        f"got {type(value).__name__}"
    )


def _in_z(expr: sp.Expr) -> sp.Expr:
    symbols = expr.free_symbols
    if len(symbols) > 1:
        names = ", ".join(sorted(map(str, symbols)))
        raise ValueError(f"value must be an expression in one symbol, it has {names}")
    return expr.subs(symbols.pop(), z) if symbols else expr


def _formula(function: Callable[..., Any]) -> sp.Expr | None:
    """What a function makes of the symbol ``z``, or None if it is numeric only."""
    try:
        image = function(z)
    except Exception:
        return None  # whatever a numeric function makes of a symbol
    if isinstance(image, bool):
        return None
    if isinstance(image, int | float | sp.Expr):
        expr = sp.sympify(image)
        return expr if expr.free_symbols <= {z} else None
    return None
