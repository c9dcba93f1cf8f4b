"""The law of sums over surviving edges given the dense sums, against its formulas."""

from __future__ import annotations

import math

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
import torch

from numerics.coupled_conditioning import blocks, covariance, given_dense
from numerics.coupled_edges import ConstantEdges, Kept, LatentEdges, exact_mask, moments
from numerics.seeds import generator
from theory.laws import Gaussian, Laplace, Law, Uniform

J, K, Q, N, GAIN, BIAS = 30, 3, 4, 5, 1.7, 0.3


def noise(seed: int) -> tuple:
    """Three streams of normal numbers."""
    rngs = [generator(seed, k) for k in range(3)]
    return tuple(lambda n, m, r=r: torch.from_numpy(r.standard_normal((n, m))) for r in rngs)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


# -------------------------------------------------------------------------------- P and V


def test_twin_of_the_moments_holds_to_the_expressions() -> None:
    t = torch.tensor([1e-9, 0.01, 0.5, 1.0, 3.0, 8.0, 20.0, 37.0], dtype=torch.float64)
    P, V = moments()(t.clone())
    law = Gaussian()
    with mp.workdps(40):
        for value, p, v in zip(t.tolist(), P.tolist(), V.tolist(), strict=True):
            exact = sp.Float(value, 40)
            assert p == pytest.approx(float(law.two_sided_survival(exact)), rel=1e-12)
            assert v == pytest.approx(float(law.two_sided_second(exact)), rel=1e-12)


@pytest.mark.parametrize("law", [None, Uniform(), Laplace()])
def test_moments_at_the_ends(law: Law | None) -> None:
    P, V = moments(law)(torch.tensor([0.0, torch.inf], dtype=torch.float64))
    assert P.tolist() == pytest.approx([1.0, 0.0])
    assert V.tolist() == pytest.approx([1.0, 0.0])


@pytest.mark.parametrize(("dtype", "far"), [(torch.float32, 13.0), (torch.float64, 37.5)])
def test_what_is_left_out_is_below_the_smallest_number(dtype: torch.dtype, far: float) -> None:
    """Just inside P is still a normal number, beyond nothing is kept at all."""
    inside = torch.tensor([far * (1.0 - 1e-6)], dtype=dtype)
    P, V = moments()(inside)
    assert torch.finfo(dtype).tiny <= float(P) < 10.0 * torch.finfo(dtype).tiny
    assert float(P) == pytest.approx(math.erfc(float(inside) / math.sqrt(2.0)), rel=1e-4)
    P, V = moments()(torch.tensor([far, 1e3 * far, torch.inf], dtype=dtype))
    assert P.tolist() == V.tolist() == [0.0, 0.0, 0.0]


def test_moments_of_another_law() -> None:
    law = Laplace()
    P, V = moments(law)(torch.tensor([1.5], dtype=torch.float64))
    assert float(P) == pytest.approx(float(law.two_sided_survival(sp.Rational(3, 2))), rel=1e-13)
    assert float(V) == pytest.approx(float(law.two_sided_second(sp.Rational(3, 2))), rel=1e-13)


# ---------------------------------------------------------------------------------- edges


def test_edges_by_target_and_by_source_are_the_same() -> None:
    edges = LatentEdges(normal(7, N), normal(J, N, seed=1), 0.8, 1.0, moments())
    by_target, by_source = edges.rows(slice(0, 7)), edges.rows(slice(0, J), by_source=True)
    assert torch.allclose(by_target.P, by_source.P.T)
    assert torch.allclose(by_target.V, by_source.V.T)
    assert bool((by_target.V >= by_target.P).all())


def test_vanishing_scores_are_kept_at_threshold_zero_only() -> None:
    psi, h = torch.zeros(2, N, dtype=torch.float64), normal(J, N)
    psi[1] = 1.0
    above = LatentEdges(psi, h, 0.5, 0.7, moments()).rows(slice(0, 2))
    at = LatentEdges(psi, h, 0.0, 0.7, moments()).rows(slice(0, 2))
    assert bool((above.P[0] == 0.0).all())
    assert bool((above.V[0] == 0.0).all())
    assert bool((at.P[0] == 0.7).all())
    assert bool((at.V[1] == 1.0).all())


def test_redrawn_weights_have_the_second_moment_of_the_mask() -> None:
    kept = LatentEdges(normal(3, N), normal(J, N, seed=1), 0.8, 1.0, moments(), True)
    rows = kept.rows(slice(0, 3))
    assert torch.equal(rows.P, rows.V)


def test_exact_masks_break_ties_at_zero() -> None:
    scores, uniform = torch.tensor([0.0, 0.0, 2.0]), torch.tensor([0.1, 0.9, 0.9])
    assert exact_mask(scores, 0.0, 0.5, uniform).tolist() == [True, False, True]
    assert exact_mask(scores, 1.0, 0.0, uniform).tolist() == [False, False, True]


# ----------------------------------------------------------------------------- conditioning


def drawn(coupled: bool, targets: int = 60_000, size: int = 4096) -> tuple:
    """Many targets with the same latents: their sums, and the matrices R, S, C."""
    dense, pruned = normal(J, K, seed=2), normal(J, Q, seed=3)
    psi, z = normal(1, N, seed=4), normal(1, K, seed=5) * 2.0
    edges = LatentEdges(psi.expand(targets, N), normal(J, N, seed=6), 1.5, 1.0, moments())
    S = covariance(dense, GAIN, BIAS)
    out = given_dense(
        dense, pruned, edges.rows, z.expand(targets, K), S, GAIN, noise(0),
        bias=BIAS, coupled=coupled, size=size,
    )  # fmt: skip
    V = edges.rows(slice(0, 1)).V[0]
    R = GAIN / J * (pruned.T * V) @ dense + BIAS
    C = GAIN / J * (pruned.T * V) @ pruned + BIAS
    return out, z[0], R, S.root @ S.root.T, C, V


def test_conditional_mean_and_covariance() -> None:
    out, z, R, S, C, V = drawn(coupled=True)
    assert 0.1 < float(V.mean()) < 0.9
    mean, spread = R @ torch.linalg.solve(S, z), C - R @ torch.linalg.solve(S, R.T)
    error = (spread.diagonal() / len(out)).sqrt()
    assert bool(((out.mean(dim=0) - mean).abs() < 4.5 * error).all())
    assert float(mean.abs().max()) > 20.0 * float(error.max())
    found = torch.cov(out.T)
    scale = spread.diagonal().sqrt()
    assert float(((found - spread) / (scale[:, None] * scale)).abs().max()) < 0.025
    assert float(((found - C) / (scale[:, None] * scale)).abs().max()) > 0.1


def test_uncoupled_sums_have_no_mean_and_the_whole_covariance() -> None:
    out, _, _, _, C, _ = drawn(coupled=False)
    scale = C.diagonal().sqrt()
    assert bool((out.mean(dim=0).abs() < 4.5 * scale / len(out) ** 0.5).all())
    assert float(((torch.cov(out.T) - C) / (scale[:, None] * scale)).abs().max()) < 0.025


def test_numbers_do_not_depend_on_the_size_of_blocks() -> None:
    few, many = (drawn(True, 100, size)[0] for size in (7, 100))
    assert torch.allclose(few, many, rtol=1e-12)


@pytest.mark.parametrize("columns", [K, K + 2])
def test_nothing_pruned_returns_the_dense_sums(columns: int) -> None:
    dense = normal(J, K)[:, torch.arange(columns) % K]  # repeated features: a singular covariance
    one = torch.ones(1, 1, dtype=torch.float64)
    S = covariance(dense, GAIN, BIAS)
    assert S.rank == K
    z = normal(9, S.rank) @ S.root.T
    out = given_dense(
        dense, dense, ConstantEdges(Kept(one, one), J).rows, z, S, GAIN, noise(1), bias=BIAS
    )
    assert torch.allclose(out, z, atol=1e-9)


def test_blocks_cover_the_range() -> None:
    assert [(b.start, b.stop) for b in blocks(5, 2)] == [(0, 2), (2, 4), (4, 5)]
