"""Compiled expressions agree with mpmath, on both backends."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from numerics import evaluate
from theory.laws import LAWS, TwoSidedTail
from theory.special import StruveL

x, y = sp.symbols("x y", real=True)
POINTS = np.array([0.07, 0.3, 0.5, 0.81, 0.96])

ELEMENTARY = [
    sp.exp(-x) + sp.sqrt(x) * sp.Abs(x - 1) ** 3,
    1 / x + x**-2 + x ** sp.Rational(3, 2) + x ** sp.Rational(-1, 2) + x**7,
    2**x + x**sp.pi + sp.log(x) * sp.tanh(x),
    sp.sin(x) + sp.cos(x) * sp.atan(x) + sp.sign(x - sp.Rational(1, 2)),
    sp.erf(x) + sp.erfc(3 * x) * sp.erfinv(x),
    sp.Max(x, sp.Rational(1, 2)) - sp.Min(x, sp.Rational(1, 4), 2 * x),
    sp.Piecewise((x**2, x < sp.Rational(2, 5)), (1 / x, x <= sp.Rational(4, 5)), (7, True)),
    sp.Piecewise((1, sp.And(x > 0, x < sp.Rational(1, 2))), (sp.log(x - sp.Rational(1, 4)), True)),
    sp.Piecewise((1, sp.Or(x < sp.Rational(1, 10), sp.Not(x < sp.Rational(9, 10)))), (x, True)),
    sp.Heaviside(x - sp.Rational(1, 3)),
    sp.floor(5 * x) + sp.ceiling(3 * x),
    sp.loggamma(x),
]
SPECIAL = [
    sp.besselk(0, x) + sp.besselk(1, 2 * x) + sp.besseli(1, x),
    1 - x * (sp.besselk(0, x) * StruveL(-1, x) + sp.besselk(1, x) * StruveL(0, x)),
    sp.betainc_regularized(sp.Rational(5, 2), sp.S.Half, 0, x),
    sp.betainc_regularized(2, 3, x / 2, x),
    sp.hyper((1, sp.Rational(1, 3)), (sp.Rational(5, 2),), x) + sp.hyper((2,), (3,), -x),
    sp.gamma(x),
    sp.erfcinv(x) + sp.erfcinv(sp.Rational(1, 10)) * x,
]


def exact(expr: sp.Expr, at: float) -> float:
    number = expr.subs(x, sp.Float(at, 40)).doit()
    # SymPy cannot evaluate erfcinv to a number.
    return float(number.replace(sp.erfcinv, lambda q: sp.erfinv(1 - q)).evalf(30))


@pytest.mark.parametrize("expr", ELEMENTARY + SPECIAL, ids=str)
def test_numpy_agrees_with_mpmath(expr: sp.Expr) -> None:
    got = evaluate.numpy_function(expr, x)(POINTS)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, [exact(expr, p) for p in POINTS], rtol=2e-13, atol=1e-15)


@pytest.mark.parametrize("expr", ELEMENTARY, ids=str)
def test_torch_agrees_with_numpy(expr: sp.Expr) -> None:
    expected = evaluate.numpy_function(expr, x)(POINTS)
    function = evaluate.torch_function(expr, x)
    got = function(torch.from_numpy(POINTS))
    assert got.dtype == torch.float64
    np.testing.assert_allclose(got.numpy(), expected, rtol=2e-13, atol=1e-15)
    single = function(torch.from_numpy(POINTS).float())
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), expected, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(LAWS))
def test_quantiles_invert_survivals(name: str) -> None:
    law, p = LAWS[name](), sp.Symbol("p", positive=True)
    levels = np.array([1e-9, 0.01, 0.3, 0.5, 0.77, 0.999])
    quantile = evaluate.numpy_function(law.quantile(p), p)(levels)
    survival = evaluate.numpy_function(law.survival(x), x)(quantile)
    np.testing.assert_allclose(1 - survival, levels, rtol=1e-9, atol=2e-15)


def test_unevaluated_objects_are_written_out() -> None:
    law = LAWS["gaussian"]()
    t = sp.Symbol("t", nonnegative=True)
    got = evaluate.numpy_function(TwoSidedTail(law, 2, t) + 1, t)(POINTS)
    expected = evaluate.numpy_function(law.two_sided_second(t) + 1, t)(POINTS)
    np.testing.assert_allclose(got, expected, rtol=4 * np.finfo(float).eps)


@given(
    a=st.floats(-3, 3), b=st.floats(-3, 3), c=st.integers(-3, 3), point=st.floats(-2, 2),
)  # fmt: skip
def test_polynomials(a: float, b: float, c: int, point: float) -> None:
    expr = a * x**2 + b * x * y + c
    expected = a * point**2 + b * point * 0.5 + c
    assert evaluate.numpy_function(expr, (x, y))(point, 0.5) == pytest.approx(expected, abs=1e-12)
    assert float(evaluate.torch_function(expr, (x, y))(point, 0.5)) == pytest.approx(
        expected, abs=1e-12
    )


def test_broadcasting_and_constants() -> None:
    function = evaluate.numpy_function(x + y, (x, y))
    assert function(np.zeros((3, 1)), np.zeros(4)).shape == (3, 4)
    constant = evaluate.numpy_function(sp.pi, (x, y))(np.zeros((3, 1)), np.zeros(4))
    assert constant.shape == (3, 4)
    assert (constant == np.pi).all()
    assert evaluate.torch_function(sp.pi, x)(torch.zeros(2)).shape == (2,)
    assert evaluate.numpy_function(sp.oo, x)(0.0) == np.inf
    assert evaluate.numpy_function(-sp.oo, x)(0.0) == -np.inf


def test_no_condition_holds() -> None:
    assert np.isnan(evaluate.numpy_function(sp.Piecewise((1, x < 0)), x)(1.0))


def test_torch_functions_can_be_differentiated() -> None:
    z = torch.tensor([0.2, 0.7], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(evaluate.torch_function(sp.erfc(x) * x, x)(z).sum(), z)
    expected = evaluate.numpy_function(sp.diff(sp.erfc(x) * x, x), x)(z.detach().numpy())
    np.testing.assert_allclose(gradient.numpy(), expected, rtol=1e-13)


def test_programs_are_cached() -> None:
    evaluate._program.cache_clear()
    for _ in range(3):
        evaluate.numpy_function(x**2 + 17, x)
    assert evaluate._program.cache_info().misses == 1


def test_unknown_functions_are_named() -> None:
    with pytest.raises(ValueError, match=r"expr holds zeta, which the numpy backend cannot.*erfc"):
        evaluate.numpy_function(sp.zeta(x), x)
    with pytest.raises(ValueError, match="besselk, which the torch backend cannot"):
        evaluate.torch_function(sp.besselk(0, x), x)
    with pytest.raises(ValueError, match="only 0F1, 1F1 and 2F1"):
        evaluate.numpy_function(sp.hyper((1, 2), (3, 4), x), x)(0.5)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="free symbol y"):
        evaluate.numpy_function(x * y, x)
    with pytest.raises(ValueError, match="not a real number"):
        evaluate.numpy_function(x + sp.I, x)
    with pytest.raises(ValueError, match="not a real number"):
        evaluate.numpy_function(sp.Piecewise((sp.nan, x > 0), (x, True)), x)
    with pytest.raises(TypeError, match="expr must be a SymPy expression"):
        evaluate.numpy_function(x > 0, x)
    with pytest.raises(TypeError, match="symbols must be SymPy symbols"):
        evaluate.numpy_function(x, ["x"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="symbols must differ"):
        evaluate.numpy_function(x, (x, x))
    with pytest.raises(TypeError, match=r"takes 1 argument\(s\), got 2"):
        evaluate.numpy_function(x, x)(1.0, 2.0)
    with pytest.raises(ValueError, match="backend must be one of"):
        evaluate.known_functions("jax")


@pytest.mark.gpu
def test_torch_functions_on_cuda() -> None:
    z = torch.from_numpy(POINTS).to("cuda")
    for expr in ELEMENTARY:
        got = evaluate.torch_function(expr, x)(z)
        assert got.device.type == "cuda"
        expected = evaluate.numpy_function(expr, x)(POINTS)
        np.testing.assert_allclose(got.cpu().numpy(), expected, rtol=1e-12, atol=1e-14)
