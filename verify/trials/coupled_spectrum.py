"""What moves the spectrum of a pruned network's kernel: three causes, each switched on or off.

* input: the first layer's mask is the criterion's, or independent of everything at its density;
* coupling: the same for all other layers, whose masks saw the weights that survive them;
* width: a network of finite width, or infinitely wide ones with the same initial residual.

With all three off the kernel is that of a dense network up to a factor, by the path-density law.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from numerics.attribution import shapley
from numerics.coupled_kernel import CoupledKernel
from numerics.empirical_ntk import empirical_ntk
from numerics.kernel import GraphonKernel
from numerics.latent_batch import LatentBatch
from numerics.losses import loss as find_loss
from numerics.mlp import MLP
from numerics.pruning import prune
from numerics.seeds import derive, generator
from numerics.spectrum import eigenvalues, energy
from verify.trial import trial
from verify.trials.coupled import GAINS, Metrics, loss_of, problem

CAUSES = ("input", "coupling", "width")
TOP = 5
PARTS = {
    "coupling over 2/5": ("coupling", 2 / 5),
    "coupling over 4/5": ("coupling", 4 / 5),
    "input over 1/5": ("input", 1 / 5),
    "input over 2/3": ("input", 2 / 3),
    "width over 1/3": ("width", 1 / 3),
}
"""What of a cause's share is beyond a fraction of the whole rise."""
SETS = [frozenset(on) for size in range(4) for on in combinations(CAUSES, size)]


def concentration(kernel: Tensor) -> float:
    """Share of the largest five eigenvalues in the trace.

    Raises ValueError where there is no trace.
    """
    if not bool(kernel.any()):
        raise ValueError("density must leave a path through the network; its kernel is zero")
    return float(energy(eigenvalues(kernel), TOP))


def independent_masks(masks: list[Tensor], seed: int) -> list[Tensor]:
    """Masks of the same layers' densities that depend on nothing."""
    drawn = []
    for layer, mask in enumerate(masks, start=1):
        noise = generator(seed, "independent", layer).random(tuple(mask.shape))
        drawn.append(torch.from_numpy(noise < float(mask.double().mean())).to(mask.device))
    return drawn


@trial
def spectrum_causes(
    seed: int, n: int, criterion: str = "snip", depth: int = 3, density: float = 0.1,
    activation: str = "relu", outputs: int = 1, batch: int = 8, points: int = 24,
    samples: int = 256, solutions: int = 4, dataset: str = "digits",
) -> Metrics:  # fmt: skip
    """Top-5 energy with every set of causes on, and each cause's Shapley share of its rise.

    ``rise`` is the whole effect, the metrics in ``share`` its parts, and those of `PARTS` a part
    less a fraction of the rise; ``width lead`` width's share less the input's. ``fresh`` is the
    rise of a network with these masks on weights they did not see, ``fresh excess`` that less
    three quarters of ``rise``.
    """
    if points < TOP:
        raise ValueError(f"points must be at least {TOP}, got {points}")
    given = problem(batch, points, outputs, dataset)
    widths = (given.x.shape[1], *([n] * depth), outputs)
    gain, loss = GAINS[activation], loss_of(outputs)

    def network(name: str) -> MLP:
        own = derive(seed, name)
        return MLP(widths, activation, gain=gain, seed=own, dtype=torch.float32)

    net = network("weights")
    pruned = prune(net, criterion, density, given.x, given.y, loss=loss)
    masks = [mask for mask in pruned.masks if mask is not None]
    others = independent_masks(masks, seed)
    seen = LatentBatch(
        given.x, widths, activation, gain=gain, loss=find_loss(loss), y=given.y,
        output=net(given.x).double(),
    )  # fmt: skip
    found: Metrics = {}
    effect: dict[frozenset[str], float] = {}
    for on in SETS:
        structured, coupled = "input" in on, "coupling" in on
        if "width" in on:
            first = masks[:1] if structured else others[:1]
            rest = masks[1:] if coupled else others[1:]
            kernel = empirical_ntk(net.pruned([*first, *rest]), given.inputs)
        elif not on:
            kernel = GraphonKernel(activation, depth=depth, gain=gain)(given.inputs, get="ntk")
        else:
            off = (() if structured else (1,)) + (() if coupled else tuple(range(2, depth + 2)))
            limit = CoupledKernel(
                seen, criterion, density, independent=off, samples=samples,
                replicates=solutions, bias=False, seed=derive(seed, "latents"),
                dtype=torch.float32,
            )  # fmt: skip
            kernel = limit(given.inputs).ntk
        effect[on] = concentration(kernel)
        found["_".join(cause for cause in CAUSES if cause in on) or "none"] = effect[on]
    shares = shapley(CAUSES, effect)
    found.update({f"{cause} share": share for cause, share in shares.items()})
    rise = effect[SETS[-1]] - effect[SETS[0]]
    fresh = concentration(empirical_ntk(network("fresh").pruned(masks), given.inputs))
    found["rise"] = rise
    found["fresh"] = fresh - effect[SETS[0]]
    found["fresh excess"] = fresh - effect[SETS[0]] - 0.75 * rise
    for name, (cause, part) in PARTS.items():
        found[name] = shares[cause] - part * rise
    found["width lead"] = shares["width"] - shares["input"]
    return found
