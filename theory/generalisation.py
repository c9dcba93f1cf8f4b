"""The generalisation bound of kernel regression with a limit kernel, with all of its terms.

[B] Theorem 6.1 (reconstructed) says for an infinitely wide pruned network with kernel K, |y| <= 1:

    test loss <= sqrt(2 y^T K^{-1} y / N) + O(sqrt(log(N / (lambda_min delta)) / N)).

This is the form of Arora, Du, Hu, Li and Wang (2019, Theorem 5.1), whose kernel has
``K(x, x) = 1/2``; that is where the 2 comes from. For any kernel that was fixed before the sample
was seen, with B^2 = y^T K^{-1} y and any loss in [0, 1] that is 1-Lipschitz in the prediction and
0 at the label, with probability at least 1 - delta over the sample,

    test loss <= training loss + 2 u i sqrt(tr K) / N + 3 sqrt(log(2 i (i+1) / delta) / (2 N)),

``i = ceil(B / u)``, where the unit u > 0 is any number chosen beforehand. The first term is the
printed one if ``tr K = N/2`` and does not change when K is rescaled, as the printed one does;
``lambda_min`` enters only through ``B <= sqrt(N / lambda_min)``. For labels +1 and -1 the loss
``min(1, |f - y|)`` is at least the indicator of a wrong sign, so the error rate obeys the bound
too. Proofs: ``generalisation.constant``, ``generalisation.radius``, and ``generalisation.bound``,
conditional on three textbook theorems.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from theory.hypotheses import Answer, Holds

__all__ = [
    "KernelBound",
    "crossing",
    "expected_complexity",
    "hypotheses",
    "kernel_bound",
    "printed_bound",
]


def printed_bound(complexity: float, samples: int) -> float:
    """``sqrt(2 y^T K^{-1} y / N)``, the leading term of [B] Theorem 6.1 as printed.

    It holds for ``K(x, x) = 1/2`` and depends on the scale of K; see :class:`KernelBound`. Raises
    ValueError for a negative complexity or fewer than one sample.
    """
    return math.sqrt(2.0 * _nonnegative(complexity, "complexity") / _count(samples))


@dataclass(frozen=True)
class KernelBound:
    """A bound on the expected loss, and what each term adds.

    Attributes: ``leading``, ``2 B sqrt(tr K)/N``; ``rounding``, what rounding B up to a multiple of
    the unit adds; ``confidence``, ``3 sqrt(log(2 i (i+1)/delta)/(2N))``; ``training``, the loss on
    the sample; ``printed``, :func:`printed_bound`. ``total`` is the sum of the first four.
    """

    leading: float
    rounding: float
    confidence: float
    training: float
    printed: float

    @property
    def total(self) -> float:
        """The bound."""
        return self.leading + self.rounding + self.confidence + self.training

    @property
    def vacuous(self) -> bool:
        """Whether the bound says no more than that a loss is at most 1."""
        return self.total >= 1.0


def kernel_bound(
    complexity: float,
    trace: float,
    samples: int,
    delta: float = 0.05,
    *,
    unit: float = 1.0,
    training: float = 0.0,
) -> KernelBound:
    """The bound of the module's docstring, with explicit constants.

    Parameters: ``complexity``, the predictor's squared norm (``y^T K^{-1} y`` for the interpolant,
    ``alpha^T K alpha`` for ridge or jitter); ``trace`` of K on the sample; ``samples`` N;
    ``delta`` in (0, 1); ``unit`` of the radii, chosen before the sample; ``training``, the mean
    loss on the sample, in [0, 1]. Raises ValueError naming the argument.
    """
    squared, N = _nonnegative(complexity, "complexity"), _count(samples)
    total = _nonnegative(trace, "trace")
    if not (isinstance(delta, (int, float)) and 0.0 < delta < 1.0):
        raise ValueError(f"delta must lie in (0, 1), got {delta!r}")
    if not (math.isfinite(unit) and unit > 0.0):
        raise ValueError(f"unit must be positive, got {unit!r}")
    if not 0.0 <= training <= 1.0:
        raise ValueError(f"training must be a mean loss in [0, 1], got {training!r}")
    norm = math.sqrt(squared)
    index = max(1, math.ceil(norm / unit))
    rate = 2.0 * math.sqrt(total) / N
    return KernelBound(
        leading=rate * norm,
        rounding=rate * max(0.0, index * unit - norm),
        confidence=3.0 * math.sqrt(math.log(2.0 * index * (index + 1) / delta) / (2.0 * N)),
        training=float(training),
        printed=printed_bound(squared, N),
    )


def expected_complexity(complexity: Any, trace_inverse: Any, share: Any) -> Any:
    """``E[y'^T K^{-1} y']`` when a share of the labels +1, -1 is replaced by fair coin tosses.

    ``(1 - p)^2 y^T K^{-1} y + (1 - (1 - p)^2) tr K^{-1}`` for a kernel that does not depend on the
    noise, each label being replaced independently with probability ``share`` p
    (``generalisation.label_noise``). Works on numbers, arrays and SymPy expressions.
    """
    kept = (1 - share) ** 2
    return kept * complexity + (1 - kept) * trace_inverse


def crossing(first: tuple[Any, Any], second: tuple[Any, Any]) -> float | None:
    """The share of random labels at which two kernels' expected complexities are equal.

    Each pair is ``(y^T K^{-1} y, tr K^{-1})``. None if they do not cross inside (0, 1); the curves
    are linear in ``(1 - p)^2``, so there is at most one crossing unless they coincide.
    """
    (q1, t1), (q2, t2) = ((float(a), float(b)) for a, b in (first, second))
    at_zero, at_one = q1 - q2, t1 - t2
    if at_zero * at_one >= 0.0:
        return None
    return 1.0 - math.sqrt(at_one / (at_one - at_zero))


def hypotheses(
    *,
    least_eigenvalue: float,
    largest_eigenvalue: float,
    labels: Any,
    mean_graphon: Any = 0,
    mask_saw_sample: bool | None = None,
    initial_output: float | None = None,
    width: int | None = None,
) -> list[Answer]:
    """The hypotheses of the bound, each answered for a concrete setting.

    Parameters: extreme eigenvalues of the kernel matrix on N points (N from ``labels``, shape
    (N,)); ``mean_graphon``, an expression or number for mu; ``mask_saw_sample``, whether the mask
    (and so K) was computed from the very sample that the bound is about; ``initial_output``, the
    root mean square of the network's output at initialisation; ``width`` of the finite network,
    None for the limit. Raises ValueError for labels that are no vector of finite numbers.
    """
    y = np.asarray(labels, dtype=np.float64)
    if y.ndim != 1 or y.size == 0 or not np.isfinite(y).all():
        raise ValueError("labels must be a non-empty vector of finite numbers")
    floor = y.size * np.finfo(np.float64).eps * abs(largest_eigenvalue)
    low = float(least_eigenvalue)
    if low > floor:
        positive = (Holds.HOLDS, f"least eigenvalue {low:.3g}")
    elif low < -floor:
        positive = (Holds.FAILS, f"least eigenvalue {low:.3g} is negative")
    else:
        positive = (Holds.CANNOT_TELL, f"least eigenvalue {low:.3g} is rounding")
    top = float(np.abs(y).max())
    mean = sp.simplify(sp.sympify(mean_graphon))
    if mean == 0:
        centred, lazy_reason = Holds.HOLDS, "the mean graphon vanishes"
    else:
        centred = Holds.CANNOT_TELL if mean.is_zero is None and mean.free_symbols else Holds.FAILS
        lazy_reason = f"the mean graphon is {mean}"
    if centred is Holds.FAILS:
        lazy = (Holds.FAILS, "outputs grow like the square root of the width")
    elif width is None:
        lazy = (Holds.HOLDS, "infinite width: the kernel does not move")
    else:
        lazy = (Holds.CANNOT_TELL, f"width {width} is finite; the kernel's change must be measured")
    fixed = {
        None: (Holds.CANNOT_TELL, "not said"),
        True: (Holds.FAILS, "the mask saw the sample and its labels, so K depends on them"),
        False: (Holds.HOLDS, "the mask was made without this sample"),
    }[mask_saw_sample]
    if initial_output is None:
        zero = (Holds.CANNOT_TELL, "not said")
    else:
        zero = (
            (Holds.HOLDS, "the output starts at zero")
            if initial_output == 0.0
            else (Holds.FAILS, f"the output starts at {initial_output:.3g}: use y - f_0")
        )
    return [
        Answer("lambda_min(K) > 0", *positive),
        Answer(
            "|y| <= 1",
            Holds.HOLDS if top <= 1.0 else Holds.FAILS,
            f"the largest label is {top:.6g}",
        ),
        Answer("mu = 0", centred, lazy_reason),
        Answer("lazy training", *lazy),
        Answer("K does not depend on the sample", *fixed),
        Answer("f = 0 at initialisation", *zero),
    ]


def _nonnegative(value: Any, name: str) -> float:
    number = float(value)
    if not (math.isfinite(number) and number >= 0.0):
        raise ValueError(f"{name} must be finite and non-negative, got {value!r}")
    return number


def _count(samples: Any) -> int:
    if isinstance(samples, bool) or not isinstance(samples, (int, np.integer)) or samples < 1:
        raise ValueError(f"samples must be a positive integer, got {samples!r}")
    return int(samples)
