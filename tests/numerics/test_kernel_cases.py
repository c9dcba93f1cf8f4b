"""Kernels of graphons: quadrature, memory, precision, refusals, and the three networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numerics import kernel_networks, kernel_tiles
from numerics.kernel import GraphonKernel, KernelLayer, kernel_fn
from numerics.kernel_graphons import positions
from numerics.kernel_stack import Stack, StackLayer
from theory import criteria
from theory.dual import z
from theory.duals import DUALS
from theory.graphon import BlockGraphon, ConstantGraphon, ProductGraphon

NAMES = sorted(set(DUALS) - {"step", "sign"})
X = np.random.default_rng(0).standard_normal((12, 6))


def smallest(kernel: torch.Tensor) -> float:
    values = torch.linalg.eigvalsh(kernel.double())
    return float(values[0] / values[-1].clamp(min=1e-300))


@pytest.mark.parametrize("name", NAMES)
def test_kernels_are_positive_semidefinite(name: str) -> None:
    x = 0.3 * np.concatenate((X, X[:3], -X[:3], 2.0 * X[:2], 0.0 * X[:1], X[:4] + 1e-8))
    result = GraphonKernel(name, [0.6, BlockGraphon([[0.2, 0.9], [0.5, 0.1]]), 0.7])(x)
    for kernel in (result.nngp, result.ntk):
        assert torch.equal(kernel, kernel.T)
        assert smallest(kernel) > -1e-13


@settings(max_examples=40)
@given(
    name=st.sampled_from([name for name in NAMES if name != "exp"]),
    x=hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 5), st.just(3)),
        elements=st.sampled_from([0.0, 1.0, -1.0, 1e-160, 1e-8, -0.5, 3.0, 5e-324, 7.0]),
    ),
    bias=st.sampled_from([0.0, 0.1]),
    blocks=st.sampled_from([[[1.0]], [[0.0, 1.0], [0.3, 0.0]]]),
)
def test_never_a_nan(name: str, x: np.ndarray, bias: float, blocks: Any) -> None:
    k = GraphonKernel(name, [BlockGraphon(blocks)] * 3, bias=bias, gain=0.5)
    result = k(x, np.flip(x, axis=0).copy())
    assert torch.isfinite(result.nngp).all()
    assert torch.isfinite(result.ntk).all()
    # Cauchy-Schwarz
    own = k(x).nngp.diagonal()
    bound = torch.sqrt(own[:, None] * own.flip(0)[None, :])
    assert (result.nngp.abs() <= bound * (1 + 1e-12) + 1e-305).all()


def test_homogeneous_kernels_scale_over_the_whole_range() -> None:
    k = GraphonKernel("relu", depth=3, density=0.4, gain=2.0)
    scale = 2.0 ** np.array([-500.0, 500.0, 3.0, 0.0])
    x = X[:4] * scale[:, None]
    got, plain = k(x, get="ntk").numpy(), k(X[:4], get="ntk").numpy()
    expected = plain * np.outer(scale, scale)
    np.testing.assert_allclose(got[expected > 1e-290], expected[expected > 1e-290], rtol=1e-14)
    with pytest.raises(ValueError, match="overflows"):
        k(1e200 * X)


# ------------------------------------------------------------------------------ Gram matrices
def test_gram_matrix_gives_the_same_kernels() -> None:
    for name in ("relu", "tanh", "erf"):
        k = GraphonKernel(name, [KernelLayer(0.5, 0.9), 0.3, 0.8], bias=0.2)
        direct = k(X, X[:5])
        squares = ((X * X).mean(axis=1), (X[:5] ** 2).mean(axis=1))
        given_ = k.from_gram(X @ X[:5].T / 6, squares)
        for kind in ("nngp", "ntk"):
            torch.testing.assert_close(
                getattr(given_, kind), getattr(direct, kind), rtol=1e-8, atol=0
            )
        whole = k.from_gram(X @ X.T / 6, get="ntk")
        torch.testing.assert_close(whole, k(X, get="ntk"), rtol=1e-13, atol=0)


@pytest.mark.parametrize(
    ("gram", "squares"),
    [
        ([[1.0, 2.0], [2.0, 1.0]], None),
        ([[1.0, 0.5], [0.4, 1.0]], None),
        ([[-1.0, 0.0], [0.0, 1.0]], None),
        ([[0.0, 1.0], [1.0, 0.0]], None),
        ([[1.0, np.nan], [np.nan, 1.0]], None),
        ([[1.0, 0.0]], None),
        ([[1.1]], ([1.0], [1.0])),
        ([[0.5]], ([1.0], [-1.0])),
        ([[0.5]], ([1.0, 1.0], [1.0])),
        ([[0.5]], ([1.0], [np.inf])),
    ],
)
def test_what_is_no_gram_matrix_is_refused(gram: Any, squares: Any) -> None:
    with pytest.raises(ValueError, match=r"gram|squares"):
        GraphonKernel("relu", depth=1).from_gram(gram, squares)


def test_gram_matrix_needs_coordinates_alike() -> None:
    with pytest.raises(ValueError, match="coordinates alike"):
        GraphonKernel("relu", [BlockGraphon([[0.1, 0.2]]), 1.0]).from_gram(np.eye(2))


def test_profile_is_the_kernel_on_the_sphere() -> None:
    k = GraphonKernel("relu", depth=2, density=0.5)
    t = np.linspace(-1.0, 1.0, 9)
    x = np.stack((t, np.sqrt(1.0 - t**2)), axis=1) * np.sqrt(2.0)
    expected = k(np.array([[np.sqrt(2.0), 0.0]]), x)
    torch.testing.assert_close(k.profile(t), expected.ntk[0], rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(k.profile(t, get="nngp"), expected.nngp[0], rtol=1e-8, atol=1e-10)
    with pytest.raises(ValueError, match="cosines"):
        k.profile([1.5])
    with pytest.raises(ValueError, match="square"):
        k.profile([0.5], square=0.0)


# --------------------------------------------------------------------------------- quadrature
def smooth(uu: Any, vv: Any) -> Any:
    return 1.0 / (1.0 + 3.0 * (uu - vv) ** 2 + uu)


def rooted(uu: Any, vv: Any) -> Any:
    return 0.5 * np.sqrt(uu) + 0.5 * np.sqrt(1.0 - vv)


def jumping(uu: Any, vv: Any) -> Any:
    return 0.2 + 0.7 * (uu + vv < 0.9)


@pytest.mark.parametrize("function", [smooth, rooted, jumping])
@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_quadrature_estimate_is_honest(function: Callable[..., Any], name: str) -> None:
    k = GraphonKernel(name, [function, function, function, 1.0], tolerance=1e-6)
    result = k(X)
    fine = k.stack(6, 5)
    exact = GraphonKernel(name, fine, tolerance=1e-12)(X)
    for kind in ("nngp", "ntk"):
        wrong = float((getattr(result, kind) - getattr(exact, kind)).abs().max())
        size = float(getattr(exact, kind).abs().max())
        assert wrong <= result.error[kind] + 1e-13 * size
        if function is not jumping:
            assert result.error[kind] <= 1e-5 * size


def test_step_functions_are_exact() -> None:
    blocks = [[0.1, 0.9, 0.4], [0.7, 0.3, 0.6]]
    k = GraphonKernel("relu", [BlockGraphon(blocks), BlockGraphon(blocks), 1.0])
    result = k(X)
    assert result.error == {"nngp": 0.0, "ntk": 0.0}
    # the coarsest common refinement of 3 and 2 cells has 4
    assert k.stack(6).nodes == [2, 2]
    by_hand = np.array(blocks)
    first = StackLayer(np.repeat(by_hand, 2, axis=1))
    second = StackLayer(np.array([[0.1, (0.1 + 0.9) / 2, 0.9], [0.7, 0.5, 0.3]])[:, :1])
    assert second.V.shape == (2, 1)
    V = np.array([[0.1 / 3 + 0.9 / 6, 0.9 / 6 + 0.4 / 3], [0.7 / 3 + 0.3 / 6, 0.3 / 6 + 0.6 / 3]])
    stack = Stack([first, StackLayer(2.0 * V), StackLayer(np.ones((1, 2)))])
    torch.testing.assert_close(GraphonKernel("relu", stack)(X).ntk, result.ntk, rtol=1e-13, atol=0)


@given(
    cells=st.lists(st.one_of(st.none(), st.integers(1, 7)), min_size=1, max_size=3),
    level=st.integers(0, 3),
)
def test_positions_integrate_step_functions_and_lines(cells: list[int | None], level: int) -> None:
    nodes, weights = positions(cells, level)
    assert np.all(np.diff(nodes) > 0)
    assert nodes[0] > 0.0
    assert nodes[-1] < 1.0
    assert abs(weights.sum() - 1.0) < 1e-12
    assert abs(weights @ nodes - 0.5) < 1e-12
    for count in cells:
        if count:
            inside = np.bincount((nodes * count).astype(int), weights, count)
            np.testing.assert_allclose(inside, 1.0 / count, atol=1e-12)


def test_all_ways_to_say_the_same_layer() -> None:
    matrix = np.array([[0.2, 0.2], [0.8, 0.8]])
    ways = [
        matrix,
        torch.from_numpy(matrix),
        matrix.tolist(),
        BlockGraphon(matrix),
        (matrix, matrix),
        KernelLayer(matrix),
    ]
    kernels = [GraphonKernel("gelu", [way, 0.5])(X, get="ntk") for way in ways]
    for kernel in kernels[1:]:
        assert torch.equal(kernel, kernels[0])
    flat = [0.3, ConstantGraphon(0.3), lambda uu, vv: 0.3 + 0.0 * uu * vv, ProductGraphon(0.5, 0.6)]
    kernels = [kernel_fn("gelu", [way, 0.5])(X, get="ntk") for way in flat]
    for kernel in kernels[1:]:
        torch.testing.assert_close(kernel, kernels[0], rtol=1e-13, atol=0)


def test_sampled_latents_average_to_the_limit() -> None:
    rng = np.random.default_rng(5)
    uu, vv = rng.random(400), rng.random(400)
    layers = [
        StackLayer(smooth(((np.arange(6) + 0.5) / 6)[None, :], uu[:, None])),
        StackLayer(smooth(uu[None, :], vv[:, None])),
        StackLayer(np.ones((1, 400))),
    ]
    cloud = GraphonKernel("relu", Stack(layers))(X, get="ntk")
    limit = GraphonKernel("relu", [smooth, smooth, 1.0])(X, get="ntk")
    # 400 latents, smooth in them: a few per cent
    assert float((cloud - limit).abs().max() / limit.abs().max()) < 0.05


# ------------------------------------------------------------------------------------- series
SWISH = z * (1 + sp.tanh(z)) / 2


@pytest.mark.parametrize(
    "activation", ["tanh", "sigmoid", "softplus", "silu", SWISH, np.arctan], ids=str
)
@pytest.mark.parametrize("tolerance", [1e-3, 1e-8])
def test_series_bound_is_honest(activation: Any, tolerance: float) -> None:
    x = np.concatenate((2.0 * X, 2.0 * X[:2], -X[:2], 1e-4 * X[:1]))
    result = GraphonKernel(activation, depth=2, density=0.7, tolerance=tolerance)(x)
    exact = GraphonKernel(activation, depth=2, density=0.7, tolerance=1e-14)(x)
    for kind in ("nngp", "ntk"):
        wrong = float((getattr(result, kind) - getattr(exact, kind)).abs().max())
        size = float(getattr(exact, kind).abs().max())
        assert wrong <= result.error[kind] + 1e-13 * size
        assert result.error[kind] <= 10.0 * tolerance * size


def test_series_of_a_kink_says_how_far_off_it_is() -> None:
    # |z| - 1 is no family member; its exact dual is that of |z| less means
    activation = sp.Abs(z) - 1
    x = X[:6]
    result = GraphonKernel(activation, depth=1)(x)
    A = GraphonKernel("abs", depth=1)(x)
    m = np.sqrt(2.0 / np.pi * (x * x).mean(axis=1))
    exact = A.nngp.numpy() - m[:, None] - m[None, :] + 1.0
    wrong = np.abs(result.nngp.numpy() - exact).max()
    assert wrong <= result.error["nngp"]
    assert result.error["nngp"] < 1e-2


# ------------------------------------------------------------------------- memory and precision
def test_memory_cap() -> None:
    x = np.random.default_rng(1).standard_normal((300, 6))
    layers = [np.full((8, 6), 0.5) * np.linspace(0.1, 1, 8)[:, None], np.full((1, 8), 0.7)]
    free = GraphonKernel("relu", layers)(x, get="ntk")
    tight = GraphonKernel("relu", layers, memory=2.0)(x, get="ntk")
    torch.testing.assert_close(tight, free, rtol=1e-13, atol=1e-15)
    with pytest.raises(ValueError, match=r"memory must be at least [0-9.]+ MiB"):
        GraphonKernel("relu", layers, memory=0.5)(x)
    needed = None
    try:
        GraphonKernel("relu", layers, memory=0.5)(x)
    except ValueError as error:
        needed = float(str(error).split("least ")[1].split(" MiB")[0])
    assert needed is not None
    GraphonKernel("relu", layers, memory=needed + 0.1)(x)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "erf", "tanh", "gelu", "softplus"])
def test_float32(name: str) -> None:
    x = np.concatenate((X, X[:2], -X[:1], 1e-3 * X[:2], 0.0 * X[:1]))
    layers = [0.5, BlockGraphon([[0.3, 0.6], [0.9, 0.2]]), BlockGraphon([[0.7, 0.5]])]
    single = GraphonKernel(name, layers, dtype=torch.float32)(x)
    double = GraphonKernel(name, layers)(x)
    for kind in ("nngp", "ntk"):
        a, b = getattr(single, kind), getattr(double, kind)
        assert a.dtype == torch.float32
        own = b.diagonal().sqrt()
        assert ((a - b).abs() <= 1e-5 * own[:, None] * own[None, :]).all()
        torch.testing.assert_close(a.diagonal(), b.diagonal().float())


def test_two_data_sets_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(2).standard_normal((70, 6))
    k = GraphonKernel("relu", [smooth, BlockGraphon([[0.3, 0.6], [0.9, 0.2]]), 1.0])
    whole = k(x)
    across = k(x[:50], x[30:])
    for kind in ("nngp", "ntk"):
        torch.testing.assert_close(
            getattr(across, kind), getattr(whole, kind)[:50, 30:], rtol=1e-13, atol=0
        )
    before = torch.get_num_threads()
    monkeypatch.setattr(kernel_tiles, "_WORTH_THREADS", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    torch.testing.assert_close(k(x).ntk, whole.ntk, rtol=1e-13, atol=0)
    monkeypatch.undo()
    torch.set_num_threads(before)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["relu", "tanh", "erf"])
def test_gpu_agrees_with_the_cpu(name: str) -> None:
    layers = [smooth, BlockGraphon([[0.3, 0.6], [0.9, 0.2]]), 1.0]
    x = np.concatenate((X, X[:2], -X[:1], 0.0 * X[:1]))
    there = GraphonKernel(name, layers, bias=0.1, device="cuda")(x)
    here = GraphonKernel(name, layers, bias=0.1)(x)
    for kind in ("nngp", "ntk"):
        torch.testing.assert_close(
            getattr(there, kind).cpu(), getattr(here, kind), rtol=1e-10, atol=1e-13
        )


def test_shares_of_the_layers_sum_to_the_kernel() -> None:
    k = GraphonKernel("erf", [(0.5, 0.8), (smooth, 0.3), 1.0], bias=[0.1, 0.2, 0.3])
    result = k(X, per_layer=True)
    assert result.per_layer.shape == (3, 12, 12)
    torch.testing.assert_close(result.per_layer.sum(dim=0), result.ntk, rtol=1e-13, atol=1e-15)
    # the last layer's share is the NNGP kernel, but for its mask
    torch.testing.assert_close(result.per_layer[2], result.nngp, rtol=1e-13, atol=1e-15)


# ------------------------------------------------------------------------------- three networks
def test_constant_density_of_the_three_networks() -> None:
    dense = GraphonKernel("relu", depth=3)(X, get="ntk")
    masked = kernel_networks.independent_mask("relu", [0.3] * 4)(X, get="ntk")
    profile = kernel_networks.variance_profile("relu", [0.3] * 4)(X, get="ntk")
    torch.testing.assert_close(masked, 0.3**4 * dense, rtol=1e-13, atol=0)
    torch.testing.assert_close(profile, 0.3**3 * dense, rtol=1e-13, atol=0)
    limit = criteria.magnitude().limit(0.2)
    saliency = kernel_networks.saliency_mask("relu", [limit] * 3, output=limit)(X, get="ntk")
    v = limit.total("variance")
    torch.testing.assert_close(saliency, 0.2 * v**3 * dense, rtol=1e-10, atol=0)


def test_saliency_kernel_of_one_hidden_layer_against_a_drawn_network() -> None:
    rng = np.random.default_rng(11)
    d, n, density = 30, 60_000, 0.3
    r = np.abs(rng.standard_normal(d)) + 0.1
    x = rng.standard_normal((3, d))
    limit = criteria.snip(r).limit(density)
    kernel = kernel_networks.saliency_mask("relu", [limit], row_factors=r)(x)
    weight, out = rng.standard_normal((n, d)), rng.standard_normal(n)
    scores = np.abs(weight) * np.abs(out)[:, None] * r
    kept = scores >= np.quantile(scores, 1.0 - density)
    before = (kept * weight) @ x.T / np.sqrt(d)
    after, slope = np.maximum(before, 0.0), (before > 0) * out[:, None]
    shared = (kept @ (x[:, None] * x[None, :]).reshape(9, d).T).reshape(n, 3, 3) / d
    terms = shared * slope[:, :, None] * slope[:, None, :] + after[:, :, None] * after[:, None, :]
    error = terms.std(axis=0) / np.sqrt(n)
    assert (np.abs(terms.mean(axis=0) - kernel.ntk.numpy()) <= 5.0 * error).all()
    # a kernel that knows the graphon only is far off
    graphon_only = kernel_networks.independent_mask(
        "relu", [kernel_networks.coordinates(limit, r).mask, 1.0]
    )(x)
    assert (np.abs(terms.mean(axis=0) - graphon_only.ntk.numpy()) > 5.0 * error).any()


# ---------------------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("relu",), {}, "depth"),
        (("relu", [0.5, 0.5]), {"depth": 2}, "depth must be 1"),
        ((["relu", "tanh"], [0.5, 0.5]), {}, "activation must be one or 1"),
        (("relu", []), {}, "output layer"),
        (("relu", [0.5, 0.5]), {"density": 0.5}, "density"),
        (("relu",), {"depth": 1, "density": 1.5}, "density"),
        (("relu",), {"depth": 1, "gain": [1.0]}, "gain"),
        (("relu",), {"depth": 1, "gain": -1.0}, "gain"),
        (("relu",), {"depth": 1, "bias": np.nan}, "bias"),
        (("relu",), {"depth": 1, "tolerance": 0.0}, "tolerance"),
        (("relu",), {"depth": 1, "memory": -1.0}, "memory"),
        (("relu",), {"depth": 1, "dtype": torch.float16}, "dtype"),
        (("nothing",), {"depth": 1}, "value must be one of"),
        (("relu", [(0.5, 0.5, 0.5), 1.0]), {}, "pairs"),
    ],
)
def test_bad_networks_are_refused(arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GraphonKernel(*arguments, **options)


@pytest.mark.parametrize(
    "layer",
    [
        1.5,
        -0.1,
        np.array([[0.5, 1.2]]),
        lambda u, v: u + v + 0.5,
        (0.5, 1.5),
        (-0.5, 0.5),
        (1.0, np.nan),
    ],
)
def test_graphons_outside_the_unit_interval(layer: Any) -> None:
    with pytest.raises(ValueError, match=r"layers\[0\]|layers\[0\] variance must be finite"):
        GraphonKernel("relu", [layer, 1.0])(X)


def test_layers_that_are_no_graphon() -> None:
    with pytest.raises(TypeError, match="variance must be a number"):
        GraphonKernel("relu", ["dense", 1.0])


@pytest.mark.parametrize(
    ("x1", "x2", "message"),
    [
        ([1.0, 2.0], None, "x1"),
        (np.zeros((0, 3)), None, "x1"),
        ([[1.0, np.inf]], None, "x1"),
        (X, X[:, :3], "x2"),
        (X + 1j, None, "x1"),
    ],
)
def test_bad_inputs_are_refused(x1: Any, x2: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GraphonKernel("relu", depth=1)(x1, x2)


def test_jumps_have_no_ntk_unless_asked_for() -> None:
    with pytest.raises(ValueError, match=r"hidden layer 1, step, jumps"):
        GraphonKernel("step", depth=1)(X)
    assert torch.isfinite(GraphonKernel("step", depth=1)(X, get="nngp")).all()
    result = GraphonKernel("sign", depth=1, ae_derivative=True)(X)
    torch.testing.assert_close(result.ntk, result.nngp)
    with pytest.raises(ValueError, match="get"):
        GraphonKernel("relu", depth=1)(X, get="cov")


def test_divergent_duals_name_layer_and_variance() -> None:
    growing = DUALS["gaussian"].__class__(1, sp.Rational(1, 8))
    k = GraphonKernel(["relu", growing], depth=2)
    assert torch.isfinite(k(X).ntk).all()
    with pytest.raises(ValueError, match=r"hidden layer 2: the dual of gaussian diverges at var"):
        k(4.0 * X)
    with pytest.raises(ValueError, match=r"hidden layer 2: the dual of exp overflows"):
        GraphonKernel("exp", depth=2)(4.0 * X)


def test_stacks_that_do_not_fit() -> None:
    one = StackLayer(np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"layers\[1\] must have 3 sources"):
        Stack([one, one])
    with pytest.raises(ValueError, match="at least one layer"):
        Stack([])
    with pytest.raises(ValueError, match="T must have the shape"):
        StackLayer(np.ones((3, 2)), np.ones((2, 3)))
    with pytest.raises(ValueError, match="V must be non-negative"):
        StackLayer(-np.ones((3, 2)))
    with pytest.raises(ValueError, match="weights must sum to 1"):
        StackLayer(np.ones((3, 2)), weights=np.ones(2))
    with pytest.raises(ValueError, match="x1 must have 2 coordinates"):
        GraphonKernel("relu", Stack([StackLayer([[0.1, 0.2]]), StackLayer([[1.0]])]))(X)
    with pytest.raises(ValueError, match="gain and bias"):
        GraphonKernel("relu", Stack([one]), gain=2.0)


def test_the_error_estimate_survives_nodes_without_variance() -> None:
    limit = criteria.snip().limit(0.2)  # neurons with a vanishing factor keep next to nothing
    x = np.random.default_rng(3).standard_normal((4, 20))
    layers = [(limit, limit), 1.0]
    for name in ("tanh", "silu", "softplus"):
        found = GraphonKernel(name, layers)(x)
        fine = GraphonKernel(name, layers, tolerance=1e-11)(x)
        assert 0.0 <= found.error["ntk"] < 1e-6, name
        difference = float((found.ntk - fine.ntk).abs().max())
        assert difference <= found.error["ntk"] + fine.error["ntk"] + 1e-14


def test_signed_limits_have_no_kernel() -> None:
    limit = criteria.criterion("grasp-signed").limit(0.2)
    with pytest.raises(ValueError, match="mean graphon"):
        kernel_networks.saliency_mask("relu", [limit])
