"""Spectral summaries against spectra that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from numerics import spectrum


def kernel_of(values: np.ndarray, seed: int = 0) -> torch.Tensor:
    """A symmetric matrix with these eigenvalues in a random basis."""
    n = len(values)
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    return torch.from_numpy((basis * values) @ basis.T)


def test_power_law_is_found_exactly() -> None:
    k = np.arange(1, 41)
    report = spectrum.spectrum_report(kernel_of(3.0 * k**-1.7), top=(1, 5))
    assert report.decay is not None
    assert report.decay.exponent == pytest.approx(1.7, abs=1e-10)
    assert report.decay.constant == pytest.approx(3.0, rel=1e-9)
    assert report.decay.error < 1e-10
    assert report.decay.r_squared == pytest.approx(1.0)
    assert (report.decay.first, report.decay.last) == (1, 40)
    weights = k**-1.7
    assert report.effective_rank == pytest.approx(weights.sum(), rel=1e-10)
    assert report.gap == pytest.approx(2**1.7, rel=1e-10)
    assert report.energies[5] == pytest.approx(weights[:5].sum() / weights.sum(), rel=1e-10)
    assert report.energies[1] == pytest.approx(1 / report.effective_rank)
    assert report.trace == pytest.approx(3 * weights.sum())
    assert report.condition == pytest.approx(40**1.7, rel=1e-8)


def test_standard_error_is_that_of_least_squares() -> None:
    """Noise on log λ: the error against SciPy's, and the exponent within five of its errors."""
    import scipy.stats

    rng = np.random.default_rng(1)
    k = np.arange(1, 201)
    values = np.sort(k**-1.2 * np.exp(0.1 * rng.standard_normal(200)))[::-1]
    decay = spectrum.decay_exponent(values, 3, 150)
    part = slice(2, 150)
    reference = scipy.stats.linregress(np.log(k[part]), np.log(values[part]))
    assert decay.exponent == pytest.approx(-reference.slope, rel=1e-10)
    assert decay.error == pytest.approx(reference.stderr, rel=1e-10)
    assert decay.r_squared == pytest.approx(reference.rvalue**2, rel=1e-10)
    assert abs(decay.exponent - 1.2) < 5 * decay.error + 0.01


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=20))
def test_ranks_are_bounded_and_scale_free(values: list[float]) -> None:
    n = len(values)
    for rank in (spectrum.effective_rank, spectrum.entropy_rank):
        assert 1 - 1e-9 <= rank(values) <= n + 1e-9
        assert rank([7.0 * v for v in values]) == pytest.approx(rank(values), rel=1e-9)
    assert spectrum.energy(values, n) == pytest.approx(1.0)
    assert spectrum.energy(values, 1) == pytest.approx(1 / spectrum.effective_rank(values))


def test_flat_and_rank_one_spectra() -> None:
    assert spectrum.effective_rank(np.ones(7)) == pytest.approx(7)
    assert spectrum.entropy_rank(np.ones(7)) == pytest.approx(7)
    assert spectrum.gap(np.ones(7)) == 1.0
    report = spectrum.spectrum_report(torch.ones(6, 6), top=(2,))
    assert report.decay is None
    assert report.effective_rank == pytest.approx(1)
    assert report.entropy_rank == pytest.approx(1)
    assert report.gap > 1e14
    assert spectrum.gap([1.0, 0.0]) == math.inf
    assert spectrum.SpectrumReport(np.array([1.0, 0.0]), None, 1, 1, 1, {}).condition == math.inf


def test_rounding_is_no_decay() -> None:
    """Twenty modes and a null space: the fit ends where rounding begins, in either dtype."""
    k = np.arange(1, 21)
    values = np.concatenate([k**-1.0, np.zeros(30)])
    for dtype in (torch.float64, torch.float32):
        report = spectrum.spectrum_report(kernel_of(values).to(dtype))
        assert report.decay is not None
        assert report.decay.last == 20
        assert report.decay.exponent == pytest.approx(1.0, abs=1e-4)
        assert report.eigenvalues.min() >= 0.0


def test_eigenvalues_descend_and_are_those_of_numpy() -> None:
    A = np.random.default_rng(0).standard_normal((12, 15))
    got = spectrum.eigenvalues(A @ A.T)
    np.testing.assert_allclose(got, np.linalg.eigvalsh(A @ A.T)[::-1], rtol=1e-10)


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (np.ones((2, 3)), "kernel must be a square matrix"),
        (np.ones(3), "kernel must be a square matrix"),
        (np.ones((0, 0)), "kernel must be a square matrix"),
        (np.array([[1.0, 2.0], [0.0, 1.0]]), "kernel must be symmetric, entries differ by 2"),
        (np.array([[1.0, math.nan], [math.nan, 1.0]]), "kernel must hold finite numbers"),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), "positive semi-definite, its least eigenvalue is -1"),
        (torch.eye(2, dtype=torch.complex64), "kernel must be a matrix of real numbers"),
        ("identity", "kernel must be a matrix of real numbers"),
    ],
)
def test_bad_kernels(kernel: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spectrum.eigenvalues(kernel)


def test_bad_spectra() -> None:
    with pytest.raises(ValueError, match="values must be a vector"):
        spectrum.effective_rank(np.ones((2, 2)))
    with pytest.raises(ValueError, match="values must be a vector"):
        spectrum.effective_rank("ab")
    for values in ([1.0, -1.0], [0.0, 0.0], [1.0, math.nan]):
        with pytest.raises(ValueError, match="values must be finite, non-negative and not all"):
            spectrum.entropy_rank(values)
    with pytest.raises(ValueError, match="at least two eigenvalues"):
        spectrum.gap([1.0])
    for k in (0, 4, 1.0, True):
        with pytest.raises(ValueError, match="k must be an integer from 1 to 3"):
            spectrum.energy([3.0, 2.0, 1.0], k)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="first and last must enclose at least three"):
        spectrum.decay_exponent([3.0, 2.0, 1.0], 2)
    with pytest.raises(ValueError, match="last must leave out eigenvalues of zero"):
        spectrum.decay_exponent([3.0, 2.0, 1.0, 0.0], 1, 4)
