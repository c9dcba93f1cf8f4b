"""Sampled steps of the coupled kernel held to their exact versions on small rational numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp
import torch
from torch import Tensor

from numerics.coupled_conditioning import covariance, given_dense
from numerics.coupled_edges import ConstantEdges, Edges, Kept
from numerics.coupled_kernel import CoupledKernel
from numerics.coupled_pruned import Evaluation, _output_share, _share
from numerics.kernel import GraphonKernel
from numerics.latent_batch import LatentBatch
from theory.coupled import contribution, regression, source_moments
from theory.criteria import criterion
from theory.reduction import limit_factor

J, K, Q = 6, 2, 3
GAIN, BIAS = sp.Rational(3, 2), sp.Rational(1, 4)


def rationals(rows: int, columns: int, seed: int, least: int = -9) -> sp.Matrix:
    """Multiples of a seventh (rows, columns)."""
    values = np.random.default_rng(seed).integers(least, 10, (rows, columns))
    return sp.Matrix(rows, columns, [sp.Rational(int(v), 7) for v in values.flat])


def floats(matrix: Any) -> Tensor:
    """The same numbers in float64."""
    return torch.tensor(np.array(sp.Matrix(matrix).evalf(30).tolist(), dtype=np.float64))


# ----------------------------------------------------------------------------- conditioning


def noise(count: int) -> tuple[Any, Any, Any]:
    """Streams for ``1 + 2 J + 1`` equal targets: no noise, then each number at one in turn.

    What is drawn is affine in its normal numbers, so these targets give the whole map.
    """
    eye = torch.eye(count, dtype=torch.float64)[:, 1:]  # the first target has none
    return (
        lambda n, m: eye[:n, :m].clone(),
        lambda n, m: eye[:n, m : 2 * m].clone(),
        lambda n, m: eye[:n, -m:].clone(),
    )


@pytest.mark.parametrize("bias", [0, BIAS])
@pytest.mark.parametrize("coupled", [True, False])
def test_pruned_sums_have_the_exact_conditional_law(bias: Any, coupled: bool) -> None:
    dense, pruned, z = rationals(K, J, 0), rationals(Q, J, 1), rationals(K, 1, 2)
    V = [sp.Rational(k, 8) for k in (0, 1, 3, 5, 7, 8)]
    own, cross, given = source_moments(V, pruned, dense, GAIN, bias)
    law = regression(own, cross, given)
    mean = law.weights * z if coupled else sp.zeros(Q, 1)
    spread = law.covariance if coupled else own
    targets = 2 * J + 2
    share = floats(sp.Matrix([V]))

    class Fixed(Edges):
        def rows(self, block: slice, by_source: bool = False) -> Kept:
            return Kept(*(share.expand(len(range(*block.indices(targets))), J) for _ in "PV"))

    features = floats(dense).T.contiguous()
    out = given_dense(
        features, floats(pruned).T.contiguous(), Fixed().rows,
        floats(z).T.expand(targets, K), covariance(features, float(GAIN), float(bias)),
        float(GAIN), noise(targets), bias=float(bias), coupled=coupled, size=targets,
    )  # fmt: skip
    found = out[1:] - out[0]
    assert torch.allclose(out[0], floats(mean)[:, 0], rtol=1e-12, atol=1e-12)
    assert torch.allclose(found.T @ found, floats(spread), rtol=1e-12, atol=1e-12)


# ----------------------------------------------------------------------------------- shares


@pytest.mark.parametrize("full", [False, True])
def test_a_share_of_a_layer_is_the_exact_one(full: bool) -> None:
    """Two inputs, two outputs, three targets, tiles smaller than the work."""
    outputs, inputs, targets = 2, 2, 3
    P = rationals(targets, J, 3, least=0) / 2
    h = rationals(inputs, J, 4)
    psi = [rationals(targets, inputs, 5 + o) for o in range(outputs)]
    shares = floats(P)

    def rows(block: slice) -> Kept:
        return Kept(shares[block], shares[block])

    how = Evaluation(torch.zeros(inputs, 1), full, True, False, rows=2, pairs=2)
    shape = (inputs, inputs, outputs, outputs) if full else (inputs, inputs)
    out = torch.zeros(shape, dtype=torch.float64)
    stacked = torch.stack([floats(each) for each in psi], dim=1)
    _share(out, floats(h).T.contiguous(), stacked, rows, float(GAIN), float(BIAS), how)

    def exact(a: int, b: int, o: int, q: int) -> float:
        backward = [psi[o][i, a] * psi[q][i, b] for i in range(targets)]
        forward = [h[a, j] * h[b, j] for j in range(J)]
        biased = BIAS * sp.Add(*backward) / targets
        return float(contribution(P, backward, forward, GAIN) + biased)

    for a in range(inputs):
        for b in range(inputs):
            if not full:
                wanted = sum(exact(a, b, o, o) for o in range(outputs)) / outputs
                assert float(out[a, b]) == pytest.approx(wanted, abs=1e-12)
                continue
            for o in range(outputs):
                for q in range(outputs):
                    assert float(out[a, b, o, q]) == pytest.approx(exact(a, b, o, q), abs=1e-12)


@pytest.mark.parametrize("full", [False, True])
def test_the_share_of_the_output_layer_is_the_exact_one(full: bool) -> None:
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3)))
    batch = LatentBatch(
        x, (3, 5, 2), "tanh", gain=[1.0, float(GAIN)], bias=[0.0, float(BIAS)],
        residual=torch.ones(2, 2),
    )  # fmt: skip
    mask, h = sp.Matrix([[1, 0, 1, 1, 0, 0], [0, 0, 1, 0, 1, 0]]), rationals(2, J, 6)
    how = Evaluation(x, full, True, False, rows=2, pairs=2)
    out = torch.zeros((2, 2, 2, 2) if full else (2, 2), dtype=torch.float64)
    _output_share(out, batch, floats(mask).T, floats(h).T.contiguous(), how)
    exact = [
        [
            [contribution(mask[o, :], [1], [h[a, j] * h[b, j] for j in range(J)], GAIN) + BIAS
             for b in range(2)] for a in range(2)
        ]
        for o in range(2)
    ]  # fmt: skip
    one, other = floats(exact[0]), floats(exact[1])
    if full:
        assert torch.allclose(out[:, :, 0, 0], one, rtol=1e-12)
        assert torch.allclose(out[:, :, 1, 1], other, rtol=1e-12)
        assert not bool(out[:, :, 0, 1].any())
    else:
        assert torch.allclose(out, (one + other) / 2, rtol=1e-12)


def test_constant_edges_are_those_of_a_share() -> None:
    """The exact version with equal P is P times that of a dense layer."""
    psi, h = [sp.Rational(k, 3) for k in (1, 2)], [sp.Rational(k, 5) for k in (1, 2, 4)]
    dense = contribution(sp.ones(2, 3), psi, h, GAIN)
    assert contribution(sp.ones(2, 3) / 4, psi, h, GAIN) == dense / 4
    kept = Kept(*(torch.full((1, 1), 0.25, dtype=torch.float64) for _ in "PV"))
    assert bool((ConstantEdges(kept, 3).rows(slice(0, 2)).P == 0.25).all())


# ----------------------------------------------------------------------- few input coordinates


@pytest.mark.parametrize(
    ("d", "low", "high"), [(2, 2.0, 3.5), (8, 1.4, 2.4), (64, 0.9, 1.25)]
)  # fmt: skip
@pytest.mark.parametrize("name", ["magnitude", "random"])
def test_closed_forms_of_blind_masks_are_for_many_inputs(
    name: str, d: int, low: float, high: float
) -> None:
    """A neuron with few weights may keep none of them, or all of them: its signal is no Gaussian.

    ``rho v^L`` and ``rho^(L+1)`` times the dense kernel hold on the diagonal; off it, at
    orthogonal inputs through ReLU, only for many coordinates.
    """
    density = 0.2
    x = torch.ones(2, d, dtype=torch.float64)
    x[1, d // 2 :] = -1.0
    batch = LatentBatch(x, (d, 100, 1), "relu", gain=2.0, residual=torch.ones(2, 1))
    found = CoupledKernel(
        batch, name, density, scope="layer", samples=4096, replicates=12, bias=False
    )()
    factor = density**2
    if name == "magnitude":
        factor = float(limit_factor(criterion("magnitude").limit(density), 1))
    exact = factor * GraphonKernel("relu", depth=1, gain=2.0)(x, get="ntk")
    ratio = found.ntk / exact
    assert low < float(ratio[0, 1]) < high
    diagonal = (ratio.diagonal() - 1.0).abs() * exact.diagonal()
    assert bool((diagonal < 4.5 * found.error["ntk"].diagonal()).all())  # type: ignore[union-attr]
