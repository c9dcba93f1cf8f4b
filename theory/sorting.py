"""What sorting a random mask by its own degrees does to its histogram (SAS, [A] Appendix C).

Rows and columns of a mask with a constant graphon have binomial degrees; sorting by them turns
their fluctuations into a pattern of size ``n^{-1/2}`` that has nothing to do with any graphon.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from theory.symbols import d, n, rho, u, v

Array = NDArray[np.float64]


def sas_bias() -> sp.Expr:
    """First-order mean of a constant graphon's sorted mask, in ``u, v, rho, n, d``.

    ``E H(u, v) = rho + sqrt(rho (1 - rho)) (Q(u) / sqrt(n) + Q(v) / sqrt(d))`` with ``Q`` the
    normal quantile: a source has n edges, a target d. (Own; [A] shows the pattern uncommented.)
    """
    quantile = lambda p: sp.sqrt(2) * sp.erfinv(2 * p - 1)  # noqa: E731
    scale = sp.sqrt(rho * (1 - rho))
    return rho + scale * (quantile(u) / sp.sqrt(n) + quantile(v) / sp.sqrt(d))


def cell_quantiles(cells: int) -> Array:
    """Averages of the normal quantile over ``cells`` equal cells of [0, 1], shape (cells,).

    Exact: the quantile integrates to minus the density, ``int_a^b Q = phi(Q(a)) - phi(Q(b))``.
    Raises ValueError for fewer than one cell.
    """
    if cells < 1:
        raise ValueError(f"cells must be at least 1, got {cells}")
    return _cell_quantiles(cells).copy()


@lru_cache(maxsize=64)
def _cell_quantiles(cells: int) -> Array:
    p = sp.Symbol("p")
    antiderivative = -sp.exp(-(sp.erfinv(2 * p - 1) ** 2)) / sp.sqrt(2 * sp.pi)
    edges = sp.lambdify(p, antiderivative, modules=["scipy", "numpy"])(
        np.linspace(0.0, 1.0, cells + 1)
    )
    return np.asarray(cells * np.diff(edges), dtype=np.float64)


def sas_bias_cells(density: float, sources: int, targets: int, cells: int) -> Array:
    """Cell averages of :func:`sas_bias` less the density, shape (cells, cells), (target, source).

    Raises ValueError for a density outside (0, 1) or sizes below one.
    """
    if not 0.0 < density < 1.0:
        raise ValueError(f"density must lie in (0, 1), got {density}")
    if sources < 1 or targets < 1:
        raise ValueError(f"sources and targets must be at least 1, got {sources}, {targets}")
    scale = float(sp.sqrt(density * (1 - density)))
    quantiles = cell_quantiles(cells)
    return scale * (quantiles[:, None] / np.sqrt(sources) + quantiles[None, :] / np.sqrt(targets))
