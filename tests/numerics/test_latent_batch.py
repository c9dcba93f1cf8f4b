"""Latents of a batch: covariances against kernels and against networks, residuals, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch
from torch import Tensor

from numerics.data import digits
from numerics.deep_derivatives import hessian_product
from numerics.initialisation import initialised
from numerics.kernel import GraphonKernel
from numerics.latent_batch import LatentBatch
from numerics.latent_covariance import gaussian_root
from numerics.mlp import MLP
from theory.laws import Uniform

WIDTHS = (64, 30, 40, 50, 10)
DATA = digits(normalise=True)


def images(count: int = 12) -> tuple[Tensor, Tensor]:
    return DATA.x[:count], DATA.y[:count]


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "erf", "gelu"])
def test_kernels_are_those_of_the_analytic_recursion(name: str) -> None:
    x, y = images()
    batch = LatentBatch(x, WIDTHS, name, gain=[2.0, 1.5, 1.0, 0.5], y=y)
    exact = GraphonKernel(name, depth=3, gain=[2.0, 1.5, 1.0, 0.5])(x)
    assert torch.allclose(batch.covariance[-1], exact.nngp, rtol=1e-8, atol=1e-10)
    assert torch.allclose(batch.kernel(), exact.ntk, rtol=1e-8, atol=1e-10)


def test_bias_enters_covariances_but_not_the_tangent_kernel_of_the_weights() -> None:
    x, y = images()
    batch = LatentBatch(x, WIDTHS, "tanh", bias=0.3, y=y)
    exact = GraphonKernel("tanh", depth=3, bias=0.3)(x)
    assert torch.allclose(batch.covariance[-1], exact.nngp, atol=1e-9)
    assert bool((batch.kernel() < exact.ntk - 0.3).all())  # all biases train there


def test_backward_covariances_are_those_of_a_wide_network() -> None:
    x, y = images(6)
    n = 1500
    batch = LatentBatch(x, (64, n, n, 1), "tanh", gain=[1.0, 1.5, 2.0], loss="squared",
                        y=y.double())  # fmt: skip
    net = MLP((64, n, n, 1), "tanh", gain=[1.0, 1.5, 2.0], seed=3)
    states = net.states(x)
    eye = torch.eye(6, dtype=torch.float64)[:, :, None]  # one unit residual for each input
    for layer, deltas in enumerate(net.backward(states, eye)[:-1]):
        found = deltas.sum(dim=1) @ deltas.sum(dim=1).T
        expected = batch.backward[layer] * batch.slope[layer]
        off = float((found - expected).abs().max() / expected.abs().max())
        assert off < 0.12, (layer, off)
        wrong = expected / 1.5 if layer == 0 else expected / 2.0
        assert float((found - wrong).abs().max() / expected.abs().max()) > 0.25


@pytest.mark.parametrize("parametrisation", ["ntk", "standard"])
@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
def test_effective_residual_makes_the_gauss_newton_product(loss: str, parametrisation: str) -> None:
    x, y = images(8)
    labels = torch.nn.functional.one_hot(y, 10).double() if loss == "squared" else y
    net = MLP((64, 4000, 10), "erf", seed=1)
    batch = LatentBatch(
        x, net.widths, "erf", loss=loss, y=labels, output=net(x), parametrisation=parametrisation
    )
    effective = batch.effective_residual(batch.draw_residual(np.random.default_rng(0)),
                                         batch.output, "grasp")  # fmt: skip
    states = net.states(x)
    deltas = net.backward(states, effective)
    exact = hessian_product(
        net, x, labels, loss, gauss_newton=True, parametrisation=parametrisation
    )
    for delta, h, s, product in zip(deltas, states.h, net.scales, exact, strict=True):
        mine = s * delta.T @ h
        cosine = float((mine * product).sum() / mine.norm() / product.norm())
        assert cosine > 0.99
    plain = net.backward(states, batch.effective_residual(batch.given, None, "snip"))  # type: ignore[arg-type]
    mine = net.scales[0] * plain[0].T @ states.h[0]
    assert float((mine * exact[0]).sum() / mine.norm() / exact[0].norm()) < 0.98


def test_curvature_follows_from_labels_and_residual() -> None:
    x, y = images()
    given = LatentBatch(x, WIDTHS, "relu", gain=2.0, y=y)
    output = given.draw_output(np.random.default_rng(4))
    r = given.residual_of(output)
    by_output = given.effective_residual(r, output, "grasp-signed")
    by_labels = given.effective_residual(r, None, "grasp-signed")
    assert torch.allclose(by_output, by_labels, atol=1e-9)


def test_drawn_outputs_have_the_kernel_as_covariance() -> None:
    x, _y = images(5)
    batch = LatentBatch(x, (64, 10, 8000), "relu", gain=2.0, loss="squared",
                        y=torch.zeros(5, 8000))  # fmt: skip
    f = batch.draw_output(np.random.default_rng(0))
    found = f @ f.T / 8000
    assert float((found - batch.covariance[-1]).abs().max()) < 0.06 * float(found.max())


def test_root_of_a_singular_covariance_and_silent_inputs() -> None:
    x, y = images(4)
    x = torch.cat((x, x[:2], torch.zeros_like(x[:1])))
    batch = LatentBatch(x, WIDTHS, "relu", gain=2.0, y=torch.cat((y, y[:2], y[:1])))
    root = gaussian_root(batch.covariance[1])
    assert root.shape[1] == 4
    assert torch.allclose(root @ root.T, batch.covariance[1], atol=1e-12)
    assert not bool(root[-1].any())
    text = " / ".join(batch.notes)
    assert "1 of 7 inputs are zero" in text
    assert "2 of 7 inputs are duplicates" in text
    assert "singular (rank 4 of 7" in text


def test_more_inputs_than_coordinates_is_a_note() -> None:
    x, y = DATA.x[:100], DATA.y[:100]
    batch = LatentBatch(x, WIDTHS, "relu", gain=2.0, y=y)
    assert any("covariance of layer 1" in note and "of 100" in note for note in batch.notes)
    assert not any("layer 2" in note for note in batch.notes)


def test_one_class_and_constant_pixels_are_notes() -> None:
    x, _ = images()
    batch = LatentBatch(x, WIDTHS, "tanh", y=torch.full((12,), 3))
    assert any("one class only (3)" in note for note in batch.notes)
    still = int((x == x[0]).all(dim=0).sum())
    assert any(note.startswith(f"{still} of 64") and "constant" in note for note in batch.notes)


def test_one_class_is_a_note_for_every_kind_of_label() -> None:
    x, y = images()
    hot = torch.nn.functional.one_hot(y, 10).double()
    for labels, alone in ((hot, False), (hot[:1].expand(12, 10), True), (0.0 * hot, True)):
        notes = LatentBatch(x, WIDTHS, "tanh", loss="squared", y=labels).notes
        assert any("one class only (all labels are equal)" in note for note in notes) is alone
    single = LatentBatch(x[:1], WIDTHS, "tanh", y=y[:1])
    assert single.notes[0].startswith("the batch holds one input only")
    assert not any(
        "one class only" in note or "coordinates are constant" in note for note in single.notes
    )


def test_equal_inputs_share_their_residual() -> None:
    x, _y = images(4)
    r = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 10)))
    order = [0, 1, 0, 2, 3, 1]
    doubled = LatentBatch(x[order], WIDTHS, "tanh", residual=r)
    found = doubled.scored_residual(r, None)
    expected = r.clone()
    expected[[0, 1]] += r[[2, 5]]
    expected[[2, 5]] = 0.0
    assert torch.allclose(found, expected, rtol=1e-14)
    assert torch.equal(LatentBatch(x, WIDTHS, residual=r[:4]).scored_residual(r[:4], None), r[:4])
    net = MLP(WIDTHS, "tanh", seed=0)
    states = net.states(x[order])
    for layer, h in enumerate(states.h[: len(WIDTHS) - 1]):
        one, other = (net.backward(states, each)[layer].T @ h for each in (r, found))
        assert torch.allclose(one, other, atol=1e-12)


@pytest.mark.parametrize("criterion", ["snip", "grasp", "grasp-signed"])
@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_residuals_that_cancel_over_equal_inputs(name: str, criterion: str) -> None:
    x, _ = images(2)
    r = torch.tensor([[0.37], [-0.37], [0.21], [-0.21]], dtype=torch.float64)
    batch = LatentBatch(x[[0, 0, 1, 1]], (64, 9, 9, 1), name, loss="squared", residual=r)
    with pytest.raises(ValueError, match=f"scores of '{criterion}' are all zero"):
        batch.scored_residual(r, None, criterion)


def test_a_residual_that_contradicts_its_labels() -> None:
    """Its probabilities give the curvature of cross-entropy, so they must be probabilities."""
    x, y = images(6)
    hot = torch.nn.functional.one_hot(y, 10).double()
    p = torch.softmax(torch.from_numpy(np.random.default_rng(0).standard_normal((6, 10))), dim=1)
    for wrong in (torch.ones(6, 10), p - hot.roll(1, dims=1), hot - p, 2.0 * (p - hot)):
        batch = LatentBatch(x, WIDTHS, y=y, residual=wrong)
        assert torch.equal(batch.effective_residual(batch.given, None), batch.given)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="residual must be probabilities less the one-hot"):
            batch.effective_residual(batch.given, None, "grasp")  # type: ignore[arg-type]
    right = LatentBatch(x, WIDTHS, y=y, residual=(p - hot).float())
    effective = right.effective_residual(right.given, None, "grasp")  # type: ignore[arg-type]
    assert torch.allclose(
        effective, right.effective_residual(p - hot, p.log(), "grasp"), rtol=1e-3, atol=1e-6
    )


def test_a_curvature_that_annuls_the_residual() -> None:
    """Cross-entropy does not see a shift of all outputs: what rounding leaves is no residual."""
    x, y = images(6)
    batch = LatentBatch(x, WIDTHS, y=y)
    output = batch.draw_output(np.random.default_rng(0))
    shift = torch.linspace(0.1, 1.3, 6, dtype=torch.float64)[:, None].expand(6, 10)
    assert not bool(batch.effective_residual(shift, output, "grasp").any())
    with pytest.raises(ValueError, match="all zero"):
        batch.scored_residual(shift, output, "grasp")


def test_a_network_gives_its_own_residual() -> None:
    x, y = images()
    net = MLP(WIDTHS, "relu", gain=2.0, bias=0.1, seed=5)
    batch = LatentBatch.of(net, x, y)
    assert batch.gains == (2.0,) * 4
    assert batch.biases == pytest.approx((0.1,) * 4)
    assert batch.given is not None
    assert torch.equal(batch.given, batch.loss.residual(net(x), y))
    pruned = net.pruned([torch.ones(w.shape, dtype=torch.bool) for w in net.weights])
    with pytest.raises(ValueError, match="net must be dense"):
        LatentBatch.of(pruned, x, y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.zeros(0, 64)}, "x must be"),
        ({"x": torch.full((12, 64), torch.nan)}, "x must be finite"),
        ({"widths": (64, 10)}, "widths must have at least one hidden layer"),
        ({"widths": (63, 10, 10)}, "x must have 63 coordinates"),
        ({"activation": np.tanh}, "activation must be a name or a formula"),
        ({"activation": "step"}, "activation 'step' jumps"),
        ({"gain": [1.0]}, "gain must be one number or 4"),
        ({"gain": 0.0}, "gain must be positive"),
        ({"bias": -1.0}, "bias"),
        ({"loss": "hinge"}, "loss must be"),
        ({"y": None}, "y must be given"),
        ({"y": torch.full((12,), 10)}, "y must hold classes"),
        ({"residual": torch.zeros(12, 10)}, "residual must not be all zeros"),
        ({"residual": torch.ones(12, 9)}, "residual must have shape"),
        ({"residual": torch.ones(12, 10), "output": torch.ones(12, 10)}, "output must not"),
        ({"parametrisation": "mup"}, "parametrisation must be"),
        ({"law": Uniform(2)}, "law must have variance 1"),
    ],
)
def test_bad_input(change: dict[str, object], message: str) -> None:
    x, y = images()
    arguments: dict[str, object] = {"x": x, "widths": WIDTHS, "activation": "relu", "y": y}
    arguments |= change
    with pytest.raises(ValueError, match=message):
        LatentBatch(**arguments)  # type: ignore[arg-type]


def test_a_network_as_it_was_initialised() -> None:
    """Kaiming's biases train but are zero; PyTorch's weights are uniform: both are seen."""
    x, y = images()
    kaiming = LatentBatch.of(initialised(WIDTHS, "relu", "kaiming", bias=True), x, y)
    assert kaiming.biases == (0.0,) * 4
    assert kaiming.law is None
    default = LatentBatch.of(initialised(WIDTHS, "relu", "pytorch", bias=True), x, y)
    assert default.law == Uniform()
    assert default.biases == pytest.approx([1.0 / (3.0 * n) for n in WIDTHS[:-1]])
    assert {kaiming.parametrisation, default.parametrisation} == {"standard"}
    with pytest.raises(ValueError, match="not a variance profile"):
        LatentBatch.of(MLP(WIDTHS, variances=[2.0, None, None, None]), x, y)
    with pytest.raises(TypeError, match="net must be an MLP"):
        LatentBatch.of(None, x, y)  # type: ignore[arg-type]


def test_what_cannot_be_computed_with_is_refused_by_name() -> None:
    x, y = images()
    z = sp.Symbol("z", real=True)
    for options in ({"x": x * 1e170}, {"activation": 1 / z}, {"activation": sp.exp(z), "gain": 9}):
        with pytest.raises(ValueError, match="x, gain and activation must give finite"):
            LatentBatch(**({"x": x, "widths": WIDTHS, "y": y} | options))
    for name, value in (("x", "abc"), ("x", None), ("x", [[1.0], [1.0, 2.0]]), ("gain", "much"),
                        ("gain", None), ("bias", [[0.1] * 4]), ("y", ["a"] * 12)):  # fmt: skip
        with pytest.raises(ValueError, match=f"^{name} must be"):
            LatentBatch(**({"x": x, "widths": WIDTHS, "y": y} | {name: value}))
    with pytest.raises(ValueError, match="y must be finite"):
        LatentBatch(x, WIDTHS, loss="squared", y=np.full((12, 10), np.nan))
    with pytest.raises(ValueError, match="activation must be one of"):
        LatentBatch(x, WIDTHS, "rely", y=y)
    same = LatentBatch(x, WIDTHS, y=y, gain=torch.tensor([1.0, 2.0, 1.0, 1.0]))
    assert same.gains == (1.0, 2.0, 1.0, 1.0)
