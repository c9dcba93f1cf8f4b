"""One-hidden-layer networks against their definition, activations against SymPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st

from numerics.activations import ACTIVATIONS, activation
from numerics.evaluate import numpy_function
from numerics.network import OneHiddenLayer
from theory import laws
from theory.dual import z
from theory.duals import DUALS, dual

POINTS = torch.tensor([-3.1, -1.0, -0.2, 0.3, 0.9, 2.7], dtype=torch.float64)

# -------------------------------------------------------------------------------- activations


def test_every_dual_is_an_activation() -> None:
    assert DUALS.keys() == ACTIVATIONS.keys()


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_derivatives_are_those_of_the_expression(name: str) -> None:
    function, expr = activation(name), DUALS[name].expr
    for order, got in enumerate((function, function.first, function.second)):
        formula = sp.diff(expr, z, order)
        # SymPy's derivatives of |z| and max(z, 0) hold objects at 0, where no point lies.
        expected = [float(formula.subs(z, sp.Rational(str(p))).evalf(20)) for p in POINTS.tolist()]
        np.testing.assert_allclose(got(POINTS).numpy(), expected, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_derivatives_are_finite_far_out_and_keep_the_dtype(name: str) -> None:
    function = activation(name)
    far = torch.tensor([-60.0, -9.0, 0.0, 9.0, 60.0], dtype=torch.float32)
    for got in (function, function.first, function.second):
        assert got(far).dtype == torch.float32
        assert got(far).shape == far.shape
        assert bool(torch.isfinite(got(far)).all())


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_oddness(name: str) -> None:
    function = activation(name)
    assert torch.allclose(function(-POINTS), -function(POINTS)) is bool(function.odd)


def test_members_of_a_family() -> None:
    leaky = activation(dual("leaky_relu", alpha=0.2))
    torch.testing.assert_close(leaky(POINTS), torch.nn.functional.leaky_relu(POINTS, 0.2))
    assert activation(dual("relu")) is ACTIVATIONS["relu"]
    x = sp.Symbol("x")
    cubic = activation(x**3 + x)
    torch.testing.assert_close(cubic(POINTS), POINTS**3 + POINTS)
    torch.testing.assert_close(cubic.second(POINTS), 6 * POINTS)
    with pytest.raises(ValueError, match="is a numeric function"):
        activation(dual(np.tanh))
    with pytest.raises(ValueError, match="value must be an expression in one symbol"):
        activation(x * sp.Symbol("y"))


def test_any_callable_is_an_activation() -> None:
    cubic = activation(lambda t: t**3 + t)
    torch.testing.assert_close(cubic.first(POINTS), 3 * POINTS**2 + 1)
    torch.testing.assert_close(cubic.second(POINTS), 6 * POINTS)
    assert not cubic.second(POINTS).requires_grad
    linear = activation(lambda t: 2 * t)
    torch.testing.assert_close(linear.first(POINTS), torch.full_like(POINTS, 2.0))
    torch.testing.assert_close(linear.second(POINTS), torch.zeros_like(POINTS))
    constant = activation(torch.ones_like)
    torch.testing.assert_close(constant.first(POINTS), torch.zeros_like(POINTS))


def test_known_functions_are_recognised() -> None:
    assert activation(torch.tanh) is ACTIVATIONS["tanh"]
    assert activation(ACTIVATIONS["relu"]) is ACTIVATIONS["relu"]


def test_bad_activations() -> None:
    with pytest.raises(ValueError, match=r"activation must be one of \['ab_relu'.*got 'swish'"):
        activation("swish")
    with pytest.raises(TypeError, match="or a callable on tensors; got int"):
        activation(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="same shape"):
        activation(torch.sum)


# ------------------------------------------------------------------------------------ network


@pytest.mark.parametrize("parametrisation", ["ntk", "standard"])
def test_forward_is_the_definition(parametrisation: str) -> None:
    d, n, outputs = 3, 5, 2
    net = OneHiddenLayer(d, n, outputs=outputs, parametrisation=parametrisation, seed=4)
    mask = torch.tensor([[True, False, True]] * n)
    pruned = net.pruned(mask)
    x = torch.linspace(-1, 1, 4 * d, dtype=torch.float64).view(4, d)
    s_in, s_out = (d**-0.5, n**-0.5) if parametrisation == "ntk" else (1.0, 1.0)
    for k in range(4):
        for o in range(outputs):
            total = 0.0
            for j in range(n):
                pre = sum(s_in * net.W[j, i] * x[k, i] for i in range(d) if mask[j, i])
                total += float(s_out * net.a[o, j]) * math.tanh(float(pre))
            assert float(pruned(x)[k, o]) == pytest.approx(total, rel=1e-12)


def test_parametrisations_are_the_same_function() -> None:
    x = torch.randn(6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ntk = OneHiddenLayer(7, 20, seed=9)
    standard = OneHiddenLayer(7, 20, seed=9, parametrisation="standard")
    torch.testing.assert_close(ntk(x), standard(x))
    torch.testing.assert_close(standard.W, ntk.W / math.sqrt(7))
    torch.testing.assert_close(standard.a, ntk.a / math.sqrt(20))


@given(seed=st.integers(0, 2**64), n=st.integers(1, 8).map(lambda k: 2 * k), d=st.integers(1, 5))
def test_antisymmetric_networks_vanish(seed: int, n: int, d: int) -> None:
    net = OneHiddenLayer(d, n, "gelu", antisymmetric=True, seed=seed, outputs=2)
    x = torch.linspace(-2, 2, 3 * d, dtype=torch.float64).view(3, d)
    assert float(net(x).abs().max()) < 1e-14 * n
    assert torch.equal(net.W[: n // 2], net.W[n // 2 :])
    assert torch.equal(net.a[:, : n // 2], -net.a[:, n // 2 :])
    assert float(net.a.abs().min()) > 0.0


def test_weights_depend_on_the_seed_alone() -> None:
    one, two = OneHiddenLayer(4, 6, seed=1), OneHiddenLayer(4, 6, "relu", seed=1)
    assert torch.equal(one.W, two.W)
    assert torch.equal(one.a, two.a)
    other = OneHiddenLayer(4, 6, seed=2)
    assert not torch.equal(one.W, other.W)
    assert OneHiddenLayer(4, 6, dtype=torch.float32).W.dtype == torch.float32


@pytest.mark.parametrize("name", sorted(laws.LAWS))
def test_weight_laws(name: str) -> None:
    """Survival function at three points, against five binomial standard errors."""
    law = laws.law(name)
    net = OneHiddenLayer(200, 500, law=law, output_law=law, seed=3)
    x = sp.Symbol("x", real=True)
    survival = numpy_function(law.survival(x), x)
    for at in (-0.8, 0.2, 1.1):
        p = float(survival(at))
        share = float((at <= net.W).double().mean())
        assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / net.W.numel())


def test_scale_of_a_law_is_kept() -> None:
    plain = OneHiddenLayer(4, 6)
    scaled = OneHiddenLayer(4, 6, law=laws.Gaussian(3))
    torch.testing.assert_close(scaled.W, 3 * plain.W)


def test_pruned_networks_share_weights() -> None:
    net = OneHiddenLayer(3, 4)
    pruned = net.pruned(torch.zeros(4, 3, dtype=torch.bool))
    assert pruned.W is net.W
    assert net.mask is None
    assert float(pruned(torch.ones(2, 3)).abs().max()) == 0.0


def test_bad_networks() -> None:
    with pytest.raises(ValueError, match="d must be a positive integer, got 0"):
        OneHiddenLayer(0, 3)
    with pytest.raises(ValueError, match=r"n must be a positive integer, got 2\.0"):
        OneHiddenLayer(3, 2.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="outputs must be a positive integer"):
        OneHiddenLayer(3, 2, outputs=True)
    with pytest.raises(ValueError, match="n must be even"):
        OneHiddenLayer(3, 5, antisymmetric=True)
    with pytest.raises(ValueError, match=r"parametrisation must be one of \('ntk', 'standard'\)"):
        OneHiddenLayer(3, 5, parametrisation="mup")
    with pytest.raises(ValueError, match="activation must be one of"):
        OneHiddenLayer(3, 5, "swish")
    with pytest.raises(ValueError, match="device must be one of"):
        OneHiddenLayer(3, 5, device="tpu")
    with pytest.raises(ValueError, match=r"dtype must be torch\.float32 or torch\.float64"):
        OneHiddenLayer(3, 5, dtype=torch.float16)
    with pytest.raises(TypeError, match="law must be a"):
        OneHiddenLayer(3, 5, law="gaussian")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="law must have numbers as parameters"):
        OneHiddenLayer(3, 5, law=laws.Gaussian(sp.Symbol("s", positive=True)))


def test_bad_inputs() -> None:
    net = OneHiddenLayer(3, 4)
    with pytest.raises(ValueError, match=r"x must be a tensor of shape \(N, 3\), got \(5, 2\)"):
        net(torch.ones(5, 2))
    with pytest.raises(ValueError, match="x must be a tensor of shape"):
        net(np.ones((5, 3)))
    with pytest.raises(ValueError, match="mask must be a tensor of dtype"):
        net.pruned(torch.ones(4, 3))
    with pytest.raises(ValueError, match=r"mask must have shape \(4, 3\)"):
        net.pruned(torch.ones(3, 4, dtype=torch.bool))


@pytest.mark.gpu
def test_weights_are_the_same_on_every_device() -> None:
    here, there = OneHiddenLayer(5, 6, seed=1), OneHiddenLayer(5, 6, seed=1, device="cuda")
    assert there.W.device.type == "cuda"
    assert torch.equal(here.W, there.W.cpu())
    x = torch.ones(2, 5, dtype=torch.float64)
    torch.testing.assert_close(there(x).cpu(), here(x))
