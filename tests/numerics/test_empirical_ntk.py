"""The closed-form tangent kernel against automatic differentiation, entry by entry."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.func import jacrev

from numerics import masked_gram as summation
from numerics.empirical_ntk import OUTPUTS, TRAINABLE, empirical_covariance, empirical_ntk
from numerics.mlp import MLP
from numerics.mlp_masks import graphon_masks, variance_profile

METHODS = ("edges", "pairs")


def inputs(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def oracle(net: MLP, x1: Tensor, x2: Tensor, trainable: str) -> Tensor:
    """Shares of the layers, (L + 1, N1, N2, O, O), by torch.func.jacrev."""
    if trainable == "all":  # the derivative by every entry of M ∘ W
        effective = [net.effective(layer) for layer in range(1, net.layers + 1)]
        net = net.pruned([None] * net.layers).replaced(effective)
    trained = [torch.zeros(len(W)) if b is None else b for W, b in zip(net.weights, net.biases)]  # noqa: B905  # fmt: skip

    def f(weights: list[Tensor], biases: list[Tensor], x: Tensor) -> Tensor:
        h = x
        for k in range(net.layers):
            M = net.masks[k]
            W = weights[k] if M is None else weights[k] * M
            z = h @ W.T * math.sqrt(net.gains[k] / net.widths[k]) + net.bias_scales[k] * biases[k]
            h = net.activation(z)
        return z

    jacobians = []
    for x in (x1, x2):
        J = jacrev(f, argnums=(0, 1))(net.weights, trained, x)
        jacobians.append([[part[k].double().flatten(2) for part in J] for k in range(net.layers)])
    return torch.stack(
        [
            sum(torch.einsum("aop,bqp->aboq", a, b) for a, b in zip(one, two, strict=True))
            for one, two in zip(*jacobians, strict=True)
        ]
    )


def case(activation: str, outputs: int, bias: float, masks: str, profile: bool) -> MLP:
    widths = (5, 11, 7, 9, outputs)
    variances = variance_profile(lambda u, v: 1.5 * u + v * v, widths) if profile else None
    net = MLP(widths, activation, gain=(1.5, 2.0, 1.0, 0.5), bias=bias, variances=variances, seed=3)
    if masks == "none":
        return net
    graphons = {
        "sparse": 0.2,
        "mixed": [None, lambda u, v: 0.3 + 0.5 * u * v, 1.0, [[0.2, 0.7]]],
    }[masks]
    return net.pruned(graphon_masks(graphons, widths, seed=5))


CASES = [
    ("tanh", 1, 0.0, "none", False),
    ("tanh", 1, 0.3, "sparse", False),
    ("relu", 3, 0.0, "mixed", False),
    ("relu", 3, 0.3, "none", True),
    ("gelu", 3, 0.3, "sparse", True),
    ("gelu", 1, 0.0, "mixed", True),
]


@pytest.mark.parametrize(("activation", "outputs", "bias", "masks", "profile"), CASES)
@pytest.mark.parametrize("trainable", TRAINABLE)
def test_kernel_is_the_gram_of_the_jacobian(
    activation: str, outputs: int, bias: float, masks: str, profile: bool, trainable: str
) -> None:
    net = case(activation, outputs, bias, masks, profile)
    x, y = inputs(6, 5), inputs(4, 5, seed=1)
    for second in (None, y):
        expected = oracle(net, x, x if second is None else second, trainable)
        size = float(expected.abs().max())
        for method, memory in itertools.product(METHODS, (None, 1e-4)):
            full = empirical_ntk(
                net, x, second, trainable=trainable, per_layer=True, outputs="full",
                method=method, memory=memory,
            )  # fmt: skip
            assert full.dtype == torch.float64
            torch.testing.assert_close(full, expected, rtol=0.0, atol=1e-12 * size)
            mean = empirical_ntk(net, x, second, trainable=trainable, method=method, memory=memory)
            trace = expected.diagonal(dim1=3, dim2=4).mean(dim=3).sum(dim=0)
            torch.testing.assert_close(mean, trace, rtol=0.0, atol=1e-12 * size)


@given(
    seed=st.integers(0, 2**40),
    widths=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    density=st.floats(0.0, 1.0),
    samples=st.integers(1, 5),
)
def test_ways_of_summing_agree(seed: int, widths: list[int], density: float, samples: int) -> None:
    net = MLP(widths, "tanh", seed=seed).pruned(graphon_masks(density, widths, seed))
    x = inputs(samples, widths[0], seed=2)
    for outputs in OUTPUTS:
        one, two, auto = (
            empirical_ntk(net, x, outputs=outputs, method=m) for m in (*METHODS, "auto")
        )
        torch.testing.assert_close(one, two, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(auto, two, rtol=1e-12, atol=1e-14)
        # One set of inputs is the same as that set twice, and exactly symmetric.
        torch.testing.assert_close(
            empirical_ntk(net, x, x, outputs=outputs), auto, rtol=1e-12, atol=1e-14
        )
        mirrored = auto.transpose(0, 1)
        assert torch.equal(auto, mirrored.transpose(2, 3) if auto.ndim == 4 else mirrored)
    kernel = empirical_ntk(net, x)
    assert float(torch.linalg.eigvalsh(kernel)[0]) >= -1e-12 * float(kernel.trace())
    survivors = empirical_ntk(net, x, per_layer=True)
    torch.testing.assert_close(survivors.sum(dim=0), kernel, rtol=1e-13, atol=1e-15)
    # Pruned entries can only add to the diagonal.
    everything = empirical_ntk(net, x, per_layer=True, trainable="all")
    assert bool((everything.diagonal(dim1=1, dim2=2) >= survivors.diagonal(dim1=1, dim2=2) - 1e-13).all())  # noqa: E501  # fmt: skip


def test_weights_of_one_layer_kept_alone() -> None:
    """A hand-made case: two weights survive in layer 1, so its share is a sum of two products."""
    widths = (3, 4, 1)
    mask = torch.zeros(4, 3, dtype=torch.bool)
    mask[1, 0] = mask[3, 2] = True
    net = MLP(widths, "tanh", gain=(3.0, 4.0)).pruned([mask, None])
    x = inputs(5, 3)
    W, a = net.weights
    z1, z3 = W[1, 0] * x[:, 0], W[3, 2] * x[:, 2]  # (3 / 3)^(1/2) = 1, and (4 / 4)^(1/2) = 1
    J = torch.stack(
        [a[0, 1] * (1 - z1.tanh() ** 2) * x[:, 0], a[0, 3] * (1 - z3.tanh() ** 2) * x[:, 2]]
    )
    h = torch.stack([z1.tanh(), z3.tanh()])
    shares = empirical_ntk(net, x, per_layer=True)
    torch.testing.assert_close(shares[0], J.T @ J, rtol=1e-13, atol=1e-15)
    torch.testing.assert_close(shares[1], h.T @ h, rtol=1e-13, atol=1e-15)


def test_severed_networks() -> None:
    widths = (3, 4, 4, 2)
    net = MLP(widths, "relu", bias=0.0)
    net = net.pruned([None, torch.zeros(4, 4, dtype=torch.bool), None])
    x = inputs(3, 3)
    for outputs in OUTPUTS:
        assert float(empirical_ntk(net, x, outputs=outputs).abs().max()) == 0.0
    # With all entries training, the derivatives by the missing weights are there; but ReLU's own
    # derivative at 0 is 0, so that tanh shows it.
    tanh = MLP(widths, "tanh").pruned(net.masks)
    shares = empirical_ntk(tanh, x, per_layer=True, trainable="all")
    assert float(shares[0].abs().max()) == 0.0
    assert float(shares[1].diagonal().min()) > 0.0


def test_single_precision() -> None:
    widths = (20, 64, 64, 3)
    double = MLP(widths, "relu", gain=2.0, dtype=torch.float64, seed=8)
    single = MLP(widths, "relu", gain=2.0, dtype=torch.float32, seed=8)
    single = single.replaced([W.float() for W in double.weights])
    double = double.replaced([W.double() for W in single.weights])
    masks, x = graphon_masks(0.3, widths), inputs(10, 20).float()
    for method, outputs in itertools.product(METHODS, OUTPUTS):
        one, two = (
            empirical_ntk(net.pruned(masks), x, method=method, outputs=outputs)
            for net in (single, double)
        )
        assert one.dtype == torch.float64
        assert float((one - two).abs().max()) < 1e-5 * float(two.abs().max())


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("sets", [1, 2])
def test_every_path_of_the_edge_sum(full: bool, sets: int) -> None:
    """PyTorch's path (for GPUs), one worker and three give one sum; chunks do not divide it."""
    h = [inputs(7, n, seed=n) for n in (4, 5)[:sets]]
    d = [inputs(9 * 2, n, seed=9 + n).view(9, 2, n) for n in (4, 5)[:sets]]
    work = summation._Edges(h, d, full)
    rows, cols = (inputs(9, 7, seed=30) > 0.2).nonzero(as_tuple=True)
    expected = work.on_gpu(rows, cols, len(rows))
    for got in (
        work.on_gpu(rows, cols, 5),
        work.on_cpu(rows, cols, len(rows), 1),
        work.on_cpu(rows, cols, 4, 3),
    ):
        torch.testing.assert_close(got, expected, rtol=1e-13, atol=1e-13)


def test_memory_sets_the_chunk() -> None:
    work = summation._Edges([torch.zeros(3, 128)], [torch.zeros(3, 2, 128)], False)
    sizes = [work.chunk(mib, 1) for mib in (1e-9, 0.1, 1.0)]
    assert sizes[0] == 1
    assert sizes[1] < sizes[2]
    assert sizes[2] * 3 * 2 * 128 * 4 <= 2**20
    assert work.chunk(1.0, 2) == sizes[2] // 2


def test_covariance_of_neurons() -> None:
    net = MLP((3, 50, 40, 2), "erf", seed=1, bias=0.1)
    x, y = inputs(4, 3), inputs(2, 3, seed=1)
    layers = empirical_covariance(net, x, y, per_layer=True)
    for k, (a, b) in enumerate(zip(net.states(x).z, net.states(y).z, strict=True)):
        np.testing.assert_allclose(layers[k], a @ b.T / net.widths[k + 1], rtol=1e-13)
    torch.testing.assert_close(empirical_covariance(net, x, y), layers[-1])
    torch.testing.assert_close(empirical_covariance(net, x), empirical_covariance(net, x, x))


def test_a_wide_network_has_the_limit_kernel() -> None:
    """One hidden ReLU layer, 10 networks: mean within four standard errors of the arc-cosine
    kernels ([Cho and Saul 2009]), dense and with a fifth of the weights."""
    d, n, runs = 3, 4000, 10
    x = inputs(2, d, seed=4)
    S = x @ x.T / d
    norms = S.diagonal().sqrt()
    angle = torch.arccos((S / torch.outer(norms, norms)).clamp(-1, 1))
    kappa = (
        torch.outer(norms, norms) * (angle.sin() + (math.pi - angle) * angle.cos()) / math.pi / 2
    )
    kappa_dot = (math.pi - angle) / (2 * math.pi)
    limit = 2 * kappa + 2 * S * kappa_dot * 1.0
    for output_density, factor in ((None, 1.0), (0.2, 0.2)):
        kernels = []
        for seed in range(runs):
            net = MLP((d, n, 1), "relu", gain=(1.0, 2.0), seed=seed)
            kernels.append(empirical_ntk(net.pruned(graphon_masks([None, output_density], net.widths, seed)), x))  # noqa: E501  # fmt: skip
        stack = torch.stack(kernels)
        error = stack.std(dim=0) / math.sqrt(runs)
        assert bool(((stack.mean(dim=0) - factor * limit).abs() < 4 * error).all())


def test_bad_arguments() -> None:
    net = MLP((3, 4, 1))
    x = inputs(2, 3)
    with pytest.raises(ValueError, match=r"trainable must be one of \('survivors', 'all'\)"):
        empirical_ntk(net, x, trainable="none")
    with pytest.raises(ValueError, match="outputs must be one of"):
        empirical_ntk(net, x, outputs="mean")
    with pytest.raises(ValueError, match="method must be one of"):
        empirical_ntk(net, x, method="fast")
    with pytest.raises(ValueError, match="method must be one of"):
        summation.masked_gram([x.T], [x[:, None]], torch.ones(2, 3).bool(), method="fast")
    for memory in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="memory must be a positive number of MiB"):
            empirical_ntk(net, x, memory=memory)
    with pytest.raises(ValueError, match=r"x1 must be a tensor of shape \(N, 3\)"):
        empirical_ntk(net, inputs(2, 4))
    with pytest.raises(ValueError, match=r"x2 must be a tensor of shape \(N, 3\)"):
        empirical_ntk(net, x, inputs(2, 4))
    with pytest.raises(ValueError, match="x2 must be finite"):
        empirical_ntk(net, x, torch.full((1, 3), math.inf))
    with pytest.raises(ValueError, match="x1 and the network's weights must give finite"):
        empirical_ntk(net, x * 1e200)
    with pytest.raises(ValueError, match="must give finite"):
        empirical_covariance(net, x * 1e200)


@pytest.mark.gpu
@pytest.mark.parametrize("outputs", OUTPUTS)
def test_devices_agree(outputs: str) -> None:
    widths = (20, 64, 64, 3)
    masks, x = graphon_masks(0.3, widths), inputs(10, 20)
    here, there = (
        empirical_ntk(MLP(widths, "tanh", device=device).pruned(masks), x, outputs=outputs)
        for device in ("cpu", "cuda")
    )
    assert there.device.type == "cuda"
    torch.testing.assert_close(there.cpu(), here, rtol=1e-11, atol=1e-12)
