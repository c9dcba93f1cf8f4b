"""Draw the README's figure: masks of growing networks beside the limit they approach.

Usage: ``python tools/readme_figure.py`` (or ``make figures``). A row for each of two criteria: one
mask as it is drawn, then masks sorted by their latents and averaged over a grid of cells, then the
limit, with the root-mean-square error of the cells under each panel.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from numerics import masks
from theory import criteria
from theory.saliency import SaliencyModel
from verify import plots
from verify.files import write_atomically

FIGURE = Path(__file__).resolve().parents[1] / "docs" / "figures" / "limit.png"
DENSITY = Fraction(1, 5)
WIDTHS = (200, 800, 3200)
CELLS = 40


def panels(name: str, model: SaliencyModel) -> list[plots.Panel]:
    """One row of the figure."""
    limit = model.limit(density=DENSITY).grid(CELLS)
    drawn = masks.draw(model, WIDTHS[0], WIDTHS[0], float(DENSITY), seed=0, positions="random")
    row = [plots.Panel(f"{name}, n = {WIDTHS[0]}", drawn.mask.numpy(), "as drawn")]
    for width in WIDTHS:
        found = masks.stream_histogram(model, width, width, float(DENSITY), seed=0, k=CELLS)
        error = np.sqrt(np.mean((found.latent - limit) ** 2))
        row.append(plots.Panel(f"sorted, n = {width}", found.latent, f"rms error {error:.3f}"))
    return [*row, plots.Panel("limit P(u, v)", limit, "exact")]


def main() -> None:
    """Write the figure."""
    rows = [
        *panels("SNIP", criteria.snip()),
        *panels("Magnitude", criteria.magnitude()),
    ]
    drawn = plots.heatmaps(rows, columns=len(WIDTHS) + 2, high=1.0, label="density kept")
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(FIGURE, plots.to_png(drawn, dpi=110))


if __name__ == "__main__":
    main()
