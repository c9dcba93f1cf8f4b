"""One meaning of a density: networks, latent-feature limits and coupled kernels are held together.

It is the share kept of the weights of all layers that are not in ``keep``, each layer with its
number of weights at the network's widths; under ``scope="layer"`` of each of them.
"""

from __future__ import annotations

import pytest

from numerics.coupled_kernel import CoupledKernel
from numerics.data import digits
from numerics.initialisation import initialised
from numerics.latent_batch import LatentBatch
from numerics.latent_graphon import LatentGraphon
from numerics.pruning import prune

WIDTHS = (64, 500, 300, 10)
COUNTS = (64 * 500, 500 * 300, 300 * 10)
DENSITY = 0.15


def together(densities: tuple[float, ...] | list[float], keep: tuple[int, ...]) -> float:
    """Share kept of all weights of the layers that are not in ``keep``."""
    pruned = [k for k in range(3) if k + 1 not in keep]
    return sum(COUNTS[k] * densities[k] for k in pruned) / sum(COUNTS[k] for k in pruned)


@pytest.mark.parametrize("criterion", ["snip", "grasp", "magnitude", "random"])
@pytest.mark.parametrize(
    ("scope", "keep"), [("global", ()), ("global", (1,)), ("global", (1, 3)), ("layer", (2,))]
)
def test_densities_mean_the_same_everywhere(
    criterion: str, scope: str, keep: tuple[int, ...]
) -> None:
    images = digits(normalise=True)
    x, y = images.x[:6], images.y[:6]
    net = initialised(WIDTHS, "tanh", "kaiming", seed=2)
    batch = LatentBatch.of(net, x, y)
    pruned = prune(net, criterion, DENSITY, x, y, scope=scope, keep=keep)
    limit = LatentGraphon(batch, criterion, DENSITY, scope=scope, keep=keep).solve(
        samples=512, replicates=4, bins=4
    )
    kernel = CoupledKernel(
        batch, criterion, DENSITY, scope=scope, keep=keep, samples=256, replicates=2, bias=False
    )(x[:1])
    for name, found in (
        ("network", pruned.densities), ("limit", limit.densities), ("kernel", kernel.densities)
    ):  # fmt: skip
        assert together(found, keep) == pytest.approx(DENSITY, abs=2e-3), name
        for layer, (mine, theirs) in enumerate(zip(found, pruned.densities, strict=True), start=1):
            near = 0.07 if layer == 3 else 0.02  # there are few weights to the outputs
            assert mine == pytest.approx(theirs, abs=near), (name, layer)
            if layer in keep:
                assert mine == 1.0
            elif scope == "layer" and criterion != "random":
                assert mine == pytest.approx(DENSITY, abs=2e-3), (name, layer)
    if scope == "global" and criterion != "random" and 1 not in keep:
        assert max(pruned.densities) > 1.5 * DENSITY  # where density is not that of each layer
