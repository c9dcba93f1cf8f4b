"""SymPy expressions as vectorised functions on NumPy arrays and PyTorch tensors.

A formula is written once, in :mod:`theory`; here it is compiled. An expression becomes a list
of operations, one for each distinct subexpression, and a *backend* says what each operation is.
Parts without free symbols are evaluated by mpmath to 30 digits first, so constants carry no
rounding but their last.

Outside its domain a function gives NaN or infinity without a warning, because a ``Piecewise``
evaluates all its branches.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

import numpy as np
import scipy.special
import sympy as sp
import torch
from numpy.typing import NDArray

__all__ = ["known_functions", "numpy_function", "torch_function"]

Operation = Callable[..., Any]


def _fold(function: Operation) -> Operation:
    return lambda *values: reduce(function, values)


def _hyper(numerators: Sequence[Any], denominators: Sequence[Any], z: Any) -> Any:
    """``pFq`` for the shapes SciPy has."""
    shape = (len(numerators), len(denominators))
    function = {
        (0, 1): scipy.special.hyp0f1,
        (1, 1): scipy.special.hyp1f1,
        (2, 1): scipy.special.hyp2f1,
    }.get(shape)
    if function is None:
        raise ValueError(
            f"hyper: only 0F1, 1F1 and 2F1 can be evaluated, got {shape[0]}F{shape[1]}"
        )
    return function(*numerators, *denominators, z)


def _betainc_regularized(a: Any, b: Any, low: Any, high: Any) -> Any:
    """``I_(low, high)(a, b)``, SymPy's four-argument form."""
    return scipy.special.betainc(a, b, high) - scipy.special.betainc(a, b, low)


# Operations that both backends have under the same operators.
_SHARED: dict[str, Operation] = {
    "Add": _fold(lambda a, b: a + b),
    "Mul": _fold(lambda a, b: a * b),
    "StrictGreaterThan": lambda a, b: a > b,
    "GreaterThan": lambda a, b: a >= b,
    "StrictLessThan": lambda a, b: a < b,
    "LessThan": lambda a, b: a <= b,
    "Equality": lambda a, b: a == b,
    "Unequality": lambda a, b: a != b,
}

_NUMPY: dict[str, Operation] = _SHARED | {
    "Pow": np.power, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "Abs": np.abs,
    "sign": np.sign, "sin": np.sin, "cos": np.cos, "tan": np.tan, "atan": np.arctan,
    "asin": np.arcsin, "acos": np.arccos, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "floor": np.floor, "ceiling": np.ceil, "Heaviside": np.heaviside,
    "Max": _fold(np.maximum), "Min": _fold(np.minimum),
    "And": _fold(np.logical_and), "Or": _fold(np.logical_or), "Not": np.logical_not,
    "where": np.where,
    "erf": scipy.special.erf, "erfc": scipy.special.erfc, "erfinv": scipy.special.erfinv,
    "erfcinv": scipy.special.erfcinv, "gamma": scipy.special.gamma,
    "loggamma": scipy.special.gammaln, "besselk": scipy.special.kv, "besseli": scipy.special.iv,
    "StruveL": scipy.special.modstruve,
    "betainc_regularized": _betainc_regularized, "hyper": _hyper,
    "StudentQuantile": scipy.special.stdtrit,
}  # fmt: skip

_TORCH: dict[str, Operation] = _SHARED | {
    "Pow": torch.pow, "exp": torch.exp, "log": torch.log, "sqrt": torch.sqrt, "Abs": torch.abs,
    "sign": torch.sign, "sin": torch.sin, "cos": torch.cos, "tan": torch.tan, "atan": torch.atan,
    "asin": torch.asin, "acos": torch.acos, "sinh": torch.sinh, "cosh": torch.cosh,
    "tanh": torch.tanh, "floor": torch.floor, "ceiling": torch.ceil, "Heaviside": torch.heaviside,
    "Max": _fold(torch.maximum), "Min": _fold(torch.minimum),
    "And": _fold(torch.logical_and), "Or": _fold(torch.logical_or), "Not": torch.logical_not,
    "where": torch.where,
    "erf": torch.erf, "erfc": torch.erfc, "erfinv": torch.erfinv,
    "loggamma": torch.lgamma,
}  # fmt: skip

_BACKENDS: Mapping[str, Mapping[str, Operation]] = {"numpy": _NUMPY, "torch": _TORCH}


def known_functions(backend: str) -> list[str]:
    """Names of the SymPy classes that ``"numpy"`` or ``"torch"`` can evaluate, sorted."""
    if backend not in _BACKENDS:
        raise ValueError(f"backend must be one of {sorted(_BACKENDS)}, got {backend!r}")
    return sorted(name for name in _BACKENDS[backend] if name != "where")


@dataclass(frozen=True)
class _Step:
    """``slot[k] = function(*slots[arguments])``; constants and inputs occupy the first slots."""

    function: Operation
    arguments: tuple[Any, ...]


class _Program:
    """A compiled expression: inputs, constants and steps in one list of slots."""

    def __init__(self, expr: sp.Basic, symbols: tuple[sp.Symbol, ...], backend: str) -> None:
        self.table = _BACKENDS[backend]
        self.backend = backend
        self.inputs = len(symbols)
        self.constants: dict[int, float | bool] = {}
        self.steps: dict[int, _Step] = {}
        self.size = len(symbols)
        self.slots: dict[sp.Basic, int] = {symbol: k for k, symbol in enumerate(symbols)}
        self.result = self.compile(expr)

    def constant(self, expr: sp.Basic) -> int | None:
        """The slot of an expression without symbols; None where SymPy cannot evaluate it."""
        if isinstance(expr, sp.logic.boolalg.Boolean):
            if not isinstance(expr, sp.logic.boolalg.BooleanAtom):
                return None
            self.constants[self.size] = bool(expr)
            return self.add(expr)
        number = sp.N(expr, 30)
        if number.atoms(sp.Function, sp.Integral, sp.Sum):
            return None
        if number in (sp.oo, -sp.oo):
            self.constants[self.size] = math.copysign(math.inf, 1 if number is sp.oo else -1)
        elif isinstance(number, (sp.Float, sp.Rational)):
            self.constants[self.size] = float(number)
        else:
            raise ValueError(f"expr holds {expr}, which is not a real number")
        return self.add(expr)

    def add(self, expr: sp.Basic) -> int:
        self.slots[expr] = self.size
        self.size += 1
        return self.slots[expr]

    def step(self, expr: sp.Basic, function: Operation, arguments: tuple[Any, ...]) -> int:
        self.steps[self.size] = _Step(function, arguments)
        return self.add(expr)

    def operation(self, name: str) -> Operation:
        if name not in self.table:
            known = ", ".join(known_functions(self.backend))
            raise ValueError(
                f"expr holds {name}, which the {self.backend} backend cannot evaluate; "
                f"it knows {known}"
            )
        return self.table[name]

    def compile(self, expr: sp.Basic) -> int:
        """The slot of a (sub)expression, compiled on first sight."""
        if expr in self.slots:
            return self.slots[expr]
        if not expr.free_symbols:
            slot = self.constant(expr)
            if slot is not None:
                return slot
        if expr.is_Symbol:
            raise ValueError(f"expr has the free symbol {expr}, which is not among the arguments")
        if isinstance(expr, sp.Pow):
            return self.power(expr)
        if isinstance(expr, sp.Piecewise):
            return self.piecewise(expr)
        if isinstance(expr, sp.hyper):
            lists = ([self.compile(e) for e in part] for part in (expr.ap, expr.bq))
            return self.step(expr, self.operation("hyper"), (*lists, self.compile(expr.argument)))
        if isinstance(expr, sp.Heaviside):
            pair = tuple(self.compile(e) for e in (expr.args[0], expr.args[1]))
            return self.step(expr, self.operation("Heaviside"), pair)
        name = expr.func.__name__
        if name not in self.table:
            written = expr.doit()  # unevaluated objects know their own closed form
            if written != expr:
                self.slots[expr] = self.compile(written)
                return self.slots[expr]
        return self.step(expr, self.operation(name), tuple(self.compile(e) for e in expr.args))

    def power(self, expr: sp.Pow) -> int:
        base, exponent = expr.args
        if exponent == sp.S.Half:
            return self.step(expr, self.operation("sqrt"), (self.compile(base),))
        if exponent.is_negative and exponent.is_number:
            inverse = self.compile(base**-exponent)
            return self.step(expr, lambda value: 1.0 / value, (inverse,))
        if exponent.is_Integer and int(exponent) <= 4:
            return self.step(expr, _fold(lambda a, b: a * b), (self.compile(base),) * int(exponent))
        pair = (self.compile(base), self.compile(exponent))
        return self.step(expr, self.operation("Pow"), pair)

    def piecewise(self, expr: sp.Piecewise) -> int:
        slot = self.undefined()
        for value, condition in reversed(expr.args):
            if condition is sp.true:
                slot = self.compile(value)
                continue
            triple = (self.compile(condition), self.compile(value), slot)
            self.steps[self.size] = _Step(self.operation("where"), triple)
            slot = self.size
            self.size += 1
        self.slots[expr] = slot
        return slot

    def undefined(self) -> int:
        """A slot holding NaN: the value of a Piecewise where no condition holds."""
        self.constants[self.size] = math.nan
        self.size += 1
        return self.size - 1

    def run(self, inputs: Sequence[Any], wrap: Callable[[float | bool], Any]) -> Any:
        slots: list[Any] = [*inputs, *[None] * (self.size - self.inputs)]
        fetch = lambda a: [slots[k] for k in a] if isinstance(a, list) else slots[a]  # noqa: E731
        for k in range(self.inputs, self.size):
            if k in self.constants:
                slots[k] = wrap(self.constants[k])
            else:
                step = self.steps[k]
                slots[k] = step.function(*(fetch(a) for a in step.arguments))
        return slots[self.result]


def _checked(expr: Any, symbols: Any) -> tuple[sp.Basic, tuple[sp.Symbol, ...]]:
    try:
        expr = sp.sympify(expr)
    except sp.SympifyError as error:
        raise TypeError(f"expr must be a SymPy expression, got {expr!r}") from error
    if not isinstance(expr, sp.Expr):
        raise TypeError(f"expr must be a SymPy expression, got {expr!r}")
    symbols = (symbols,) if isinstance(symbols, sp.Symbol) else tuple(symbols)
    if not all(isinstance(symbol, sp.Symbol) for symbol in symbols):
        raise TypeError(f"symbols must be SymPy symbols, got {symbols!r}")
    if len(set(symbols)) != len(symbols):
        raise ValueError(f"symbols must differ, got {symbols!r}")
    return expr, symbols


@lru_cache(maxsize=1024)
def _program(expr: sp.Basic, symbols: tuple[sp.Symbol, ...], backend: str) -> _Program:
    return _Program(expr, symbols, backend)


@lru_cache(maxsize=1024)
def _label(expr: sp.Basic) -> str:
    return str(expr)[:60]  # printing takes longer than a small evaluation


def _count(function: str, given: int, wanted: int) -> None:
    if given != wanted:
        raise TypeError(f"{function} takes {wanted} argument(s), got {given}")


def numpy_function(
    expr: Any, symbols: sp.Symbol | Sequence[sp.Symbol]
) -> Callable[..., NDArray[np.float64]]:
    """An expression as a function of float64 arrays, one for each symbol, broadcast.

    It returns a float64 array of the broadcast shape, even where the expression is constant.
    Compiled programs are cached. Raises TypeError for something that is no expression, and
    ValueError for a free symbol that is no argument, a constant that is not real, or a function
    that is not among :func:`known_functions`.
    """
    expr, symbols = _checked(expr, symbols)
    program = _program(expr, symbols, "numpy")
    label = _label(expr)

    def function(*values: Any) -> NDArray[np.float64]:
        _count(label, len(values), len(symbols))
        arrays = [np.asarray(value, dtype=np.float64) for value in values]
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
        with np.errstate(all="ignore"):
            result = np.asarray(program.run(arrays, lambda number: number), dtype=np.float64)
        return result if result.shape == shape else np.broadcast_to(result, shape).copy()

    return function


def torch_function(
    expr: Any, symbols: sp.Symbol | Sequence[sp.Symbol]
) -> Callable[..., torch.Tensor]:
    """An expression as a function of tensors, one for each symbol, broadcast; differentiable.

    Device and dtype are those of the floating-point tensors among the arguments; numbers and
    integer tensors become float64 if there are none. Raises like :func:`numpy_function`; special
    functions beyond erf, erfc, erfinv and loggamma are refused by name.
    """
    expr, symbols = _checked(expr, symbols)
    program = _program(expr, symbols, "torch")
    label = _label(expr)

    def function(*values: Any) -> torch.Tensor:
        _count(label, len(values), len(symbols))
        tensors = [value for value in values if isinstance(value, torch.Tensor)]
        device = tensors[0].device if tensors else torch.device("cpu")
        floating = [value.dtype for value in tensors if value.is_floating_point()]
        dtype = reduce(torch.promote_types, floating) if floating else torch.float64
        inputs = [torch.as_tensor(value, dtype=dtype, device=device) for value in values]
        shape = torch.broadcast_shapes(*(value.shape for value in inputs))

        def wrap(number: float | bool) -> torch.Tensor:
            kind = torch.bool if isinstance(number, bool) else dtype
            return torch.tensor(number, dtype=kind, device=device)

        result: torch.Tensor = program.run(inputs, wrap)
        return result.expand(shape) if result.shape != shape else result

    return function
