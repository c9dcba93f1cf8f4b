"""Kernel regression, and the training dynamics that a fixed kernel predicts, mode by mode.

With the loss ``½ Σ_n (f_n - y_n)²`` (a sum over samples) and a kernel K that stays fixed,
gradient flow moves the outputs by ``f' = -rate · K (f - y)``, so the residual's component along
the eigenvector of λ_k decays as ``exp(-rate λ_k t)`` ([A] eq. (68)); gradient descent with step
``rate`` multiplies it by ``1 - rate λ_k`` instead. For a mean over N samples divide the rate by N.
Everything is computed in float64 on the kernel's device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from numerics.spectrum import check_kernel

__all__ = [
    "DYNAMICS",
    "Flow",
    "Modes",
    "Rates",
    "Regression",
    "fitted_rates",
    "gradient_flow",
    "kernel_regression",
    "modes",
]

DYNAMICS = ("flow", "descent")


class Modes(NamedTuple):
    """Eigenvalues (N,) in descending order and eigenvectors (N, N), one per column."""

    values: Tensor
    vectors: Tensor

    def components(self, residual: Tensor) -> Tensor:
        """Components ``⟨v_k, r⟩`` of residuals of shape (.., N), as float64 of the same shape."""
        if residual.ndim == 0 or residual.shape[-1] != len(self.values):
            raise ValueError(
                f"residual must have shape (.., {len(self.values)}), got {tuple(residual.shape)}"
            )
        return residual.to(self.vectors) @ self.vectors


def modes(kernel: Any) -> Modes:
    """Eigenvalues and eigenvectors of a kernel matrix; raises like `spectrum.check_kernel`."""
    values, vectors = torch.linalg.eigh(check_kernel(kernel))
    return Modes(values.flip(0), vectors.flip(1))


def _labels(name: str, value: Any, rows: int, like: Tensor) -> Tensor:
    """Finite float64 numbers of shape (rows, outputs) from (rows,) or (rows, outputs)."""
    try:
        result = torch.as_tensor(value).detach().to(like.device, torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must hold real numbers") from None
    if result.ndim not in (1, 2) or result.shape[0] != rows:
        raise ValueError(
            f"{name} must have shape ({rows},) or ({rows}, outputs), got {tuple(result.shape)}"
        )
    if not bool(torch.isfinite(result).all()):
        raise ValueError(f"{name} must hold finite numbers")
    return result[:, None] if result.ndim == 1 else result


def _cross(name: str, value: Any, columns: int, like: Tensor) -> Tensor:
    result = torch.as_tensor(value).detach().to(like.device, torch.float64)
    if result.ndim != 2 or result.shape[1] != columns:
        raise ValueError(f"{name} must have shape (N_test, {columns}), got {tuple(result.shape)}")
    if not bool(torch.isfinite(result).all()):
        raise ValueError(f"{name} must hold finite numbers")
    return result


def _number(name: str, value: Any, positive: bool = False) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, got {value!r}") from None
    if not math.isfinite(number) or number < 0.0 or (positive and number == 0.0):
        what = "positive" if positive else "non-negative"
        raise ValueError(f"{name} must be finite and {what}, got {value!r}")
    return number


@dataclass(frozen=True)
class Regression:
    """Coefficients ``α = (K + (ridge + jitter) I)^-1 y``, shape (N,) or (N, outputs).

    ``jitter`` is what had to be added to factorise, 0 if nothing; ``condition`` the condition
    number of the matrix that was solved with. ``residual`` is the largest error of the equation
    ``(K + ridge I) α = y`` relative to the largest label, so it shows what the jitter did.
    """

    coefficients: Tensor
    ridge: float
    jitter: float
    condition: float
    residual: float

    def predict(self, cross: Any) -> Tensor:
        """``K(test, train) α`` for a kernel block (N_test, N); ValueError for another shape."""
        N = self.coefficients.shape[0]
        return _cross("cross", cross, N, self.coefficients) @ self.coefficients


def kernel_regression(
    kernel: Any, y: Any, *, ridge: float = 0.0, jitter: float | None = None
) -> Regression:
    """Kernel (ridge) regression by Cholesky's factorisation.

    Parameters: ``kernel`` (N, N) symmetric positive semi-definite; ``y`` (N,) or (N, outputs);
    ``ridge`` ≥ 0; ``jitter``: the most that may be added to the diagonal, relative to its mean,
    if the matrix is singular to rounding (tried in powers of ten from 1e-15 on). None is 1e-8;
    0 refuses.

    Raises ValueError if the matrix stays singular (or is indefinite), saying its least
    eigenvalue, and for shapes and numbers that are not right.
    """
    K = check_kernel(kernel)
    ridge = _number("ridge", ridge)
    most = 1e-8 if jitter is None else _number("jitter", jitter)
    labels = _labels("y", y, len(K), K)
    diagonal = float(K.diagonal().mean())
    eye = torch.eye(len(K), dtype=K.dtype, device=K.device)
    spectrum = torch.linalg.eigvalsh(K)
    low, high = float(spectrum[0]), float(spectrum[-1])
    # Cholesky may pass by luck on a matrix whose least eigenvalue is rounding noise.
    floor = len(K) * torch.finfo(K.dtype).eps * max(abs(low), abs(high))
    steps = [0.0] + [10.0**e * diagonal for e in range(-15, 1) if 10.0**e <= most * (1 + 1e-9)]
    for added in steps:
        shift = ridge + added
        if low + shift <= floor:
            continue
        factor, failed = torch.linalg.cholesky_ex(K + shift * eye)
        if int(failed) == 0:
            alpha = torch.cholesky_solve(labels, factor)
            error = (K + ridge * eye) @ alpha - labels
            scale = float(labels.abs().max())
            return Regression(
                alpha[:, 0] if torch.as_tensor(y).ndim == 1 else alpha,
                ridge,
                added,
                (high + shift) / (low + shift),
                float(error.abs().max()) / scale if scale > 0.0 else 0.0,
            )
    raise ValueError(
        f"kernel must be positive definite for regression: its least eigenvalue is {low:.3g} at a "
        f"largest of {high:.3g}; give a ridge or allow a larger jitter than {most:.3g}"
    )


class Flow(NamedTuple):
    """Outputs over time: ``train`` of shape (T, N, ..) and ``test`` (T, N_test, ..) or None."""

    times: Tensor
    train: Tensor
    test: Tensor | None


def gradient_flow(
    kernel: Any,
    y: Any,
    times: Sequence[float] | Tensor,
    *,
    start: Any = None,
    rate: float = 1.0,
    cross: Any = None,
    start_test: Any = None,
    dynamics: str = "flow",
) -> Flow:
    """Outputs under squared loss with a fixed kernel, in closed form from the kernel's modes.

    Parameters
    ----------
    kernel, y: (N, N) and labels (N,) or (N, outputs).
    times: T non-negative times; for ``dynamics="descent"`` whole numbers of steps. Infinity is
        allowed and gives the limit, where there is one.
    start: outputs at time 0, of the shape of ``y``; None is zero. ``start_test`` the same for
        the test inputs.
    rate: learning rate, for a loss that is a sum over samples (see the module).
    cross: kernel (N_test, N) between test and training inputs, for outputs there.
    dynamics: ``"flow"``: ``exp(-rate λ t)``; ``"descent"``: ``(1 - rate λ)^t``, which diverges
        for ``rate λ > 2``.

    Modes of eigenvalue zero never move. Singular kernels are therefore no problem here. Raises
    ValueError for shapes, numbers and options that are not right, for a kernel with an eigenvalue
    that is negative beyond rounding, and for descent that diverges beyond the range of numbers.
    """
    if dynamics not in DYNAMICS:
        raise ValueError(f"dynamics must be one of {DYNAMICS}, got {dynamics!r}")
    rate = _number("rate", rate, positive=True)
    found = modes(kernel)
    N, top = len(found.values), float(found.values[0])
    if float(found.values[-1]) < -1e-6 * max(top, -float(found.values[-1])):
        raise ValueError(
            "kernel must be positive semi-definite, its least eigenvalue is "
            f"{float(found.values[-1]):.3g}"
        )
    # Below rounding an eigenvalue is zero: its mode would else start to move at t ~ 1 / eps.
    values = torch.where(
        found.values > N * torch.finfo(torch.float64).eps * abs(top), found.values, 0.0
    )
    t = torch.as_tensor(times, dtype=torch.float64, device=values.device).flatten()
    if t.numel() == 0 or bool(torch.isnan(t).any()) or float(t.min()) < 0.0:
        raise ValueError("times must hold at least one number, none negative or NaN")
    if dynamics == "descent" and not bool((t == t.floor()).all()):
        raise ValueError("times must be whole numbers of steps for dynamics 'descent'")
    vector = torch.as_tensor(y).ndim == 1
    labels = _labels("y", y, N, values)
    initial = torch.zeros_like(labels) if start is None else _labels("start", start, N, values)
    if initial.shape != labels.shape:
        raise ValueError(f"start must have the shape of y, got {tuple(initial.shape)}")
    speed = rate * values
    # 1 - decay, the share of a mode's way that is done, without cancellation for slow modes.
    # A mode of speed zero stays where it is for ever, so 0 · ∞ is 0 here.
    exponent = torch.where(speed > 0.0, t[:, None] * speed, 0.0)
    if dynamics == "flow":
        done = -torch.expm1(-exponent)
    else:
        done = _descent(speed, t)
    if not bool(torch.isfinite(done).all()):
        raise ValueError(
            f"rate must be below 2 / λ_1 = {2.0 / top:.3g} for descent over these times"
        )
    way = found.vectors.T @ (labels - initial)
    train = initial + found.vectors @ (done[:, :, None] * way)
    test = None
    if cross is not None:
        block = _cross("cross", cross, N, values)
        begun = torch.zeros(len(block), labels.shape[1], dtype=torch.float64, device=values.device)
        if start_test is not None:
            begun = begun + _labels("start_test", start_test, len(block), values)
        # ∫ of the residual: done / λ, which tends to rate · t as λ → 0; but a zero mode has no
        # component in the cross kernel of a positive semi-definite whole, so it is left out.
        inverse = torch.where(values > 0.0, 1.0 / values.clamp(min=torch.finfo(t.dtype).tiny), 0.0)
        test = begun + (block @ found.vectors) @ (done[:, :, None] * (inverse[:, None] * way))
        test = test[..., 0] if vector else test
    elif start_test is not None:
        raise ValueError("start_test must come with cross")
    return Flow(t, train[..., 0] if vector else train, test)


def _descent(speed: Tensor, t: Tensor) -> Tensor:
    """``1 - (1 - speed)^t`` for whole t, accurate for small speeds."""
    factor = 1.0 - speed
    log = torch.log1p(-speed.clamp(max=1.0))
    small = torch.where(speed > 0.0, t[:, None] * log, 0.0)
    powers = torch.where(t[:, None] == 0.0, 1.0, factor.expand(len(t), -1) ** t[:, None])
    return torch.where(speed < 0.5, -torch.expm1(small), 1.0 - powers)


class Rates(NamedTuple):
    """Fitted decay rates (N,), their standard errors, and how many times each fit used."""

    rates: Tensor
    errors: Tensor
    points: Tensor


def fitted_rates(times: Any, components: Any, floor: float = 1e-12) -> Rates:
    """Decay rates of residual modes, by least squares of ``log |a_k(t)|`` on t.

    ``components`` are a_k(t), shape (T, N), at T ``times``. A mode counts until it first falls
    below ``floor`` times its start (or changes sign): from there on it is rounding, not decay.
    NaN where fewer than three times are left. Raises ValueError for shapes and numbers that are
    not right.
    """
    t = torch.as_tensor(times, dtype=torch.float64).flatten()
    a = torch.as_tensor(components).detach().to(t.device, torch.float64)
    if a.ndim != 2 or a.shape[0] != len(t) or len(t) < 3:
        raise ValueError(
            f"components must have shape ({len(t)}, N) for at least three times, "
            f"got {tuple(a.shape)}"
        )
    if not bool(torch.isfinite(a).all() & torch.isfinite(t).all()):
        raise ValueError("times and components must hold finite numbers")
    if not bool((t[1:] > t[:-1]).all()):
        raise ValueError("times must increase")
    floor = _number("floor", floor)
    alive = (a.abs() > floor * a[0].abs()) & (torch.sign(a) == torch.sign(a[0])) & (a != 0.0)
    weight = alive.double().cumprod(dim=0)
    points = weight.sum(dim=0)
    y = torch.where(weight > 0, a.abs().clamp(min=torch.finfo(t.dtype).tiny).log(), 0.0)
    safe = points.clamp(min=1.0)
    dt = weight * (t[:, None] - (weight * t[:, None]).sum(dim=0) / safe)
    dy = weight * (y - (weight * y).sum(dim=0) / safe)
    spread = (dt * dt).sum(dim=0)
    slope = (dt * dy).sum(dim=0) / spread
    scatter = ((dy - slope * dt) ** 2).sum(dim=0) / (points - 2.0).clamp(min=1.0)
    enough = points >= 3
    nan = torch.full_like(slope, math.nan)
    return Rates(
        torch.where(enough, -slope, nan),
        torch.where(enough, (scatter / spread).sqrt(), nan),
        points.to(torch.int64),
    )
