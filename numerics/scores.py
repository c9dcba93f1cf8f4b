"""Scores of the input weights of a one-hidden-layer network, for every pruning criterion.

==============  ============================  =========================================
criterion       score                         factor
==============  ============================  =========================================
random          uniform on (0, 1)             none
magnitude       ``|w|``                       1
snip            ``|w g|``                     ``g = ∂ℒ/∂w``
grasp           ``|w (H g)|``                 ``H g``, H the Hessian of ℒ
grasp-signed    ``w (H g)``                   ``H g``
synflow         ``|w| ∂R/∂|w|``               ``∂R/∂|w|``, R the sum of absolute paths
==============  ============================  =========================================

The larger the score, the better a weight's chances to be kept. Sources: SNIP, Lee et al. 2019;
GraSP, Wang et al. 2020 (which removes the largest ``−w (H g)``); SynFlow, Tanaka et al. 2020, here
one shot. The names are those of :data:`theory.criteria.CRITERIA`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from numerics.gradients import Batches, batches, gradient, hessian_gradient
from numerics.losses import Loss
from numerics.losses import loss as find_loss
from numerics.network import OneHiddenLayer
from numerics.sampling import uniform
from numerics.seeds import generator

__all__ = ["CRITERIA", "factor", "score"]

CRITERIA = ("random", "magnitude", "snip", "grasp", "grasp-signed", "synflow")
"""Criteria by name."""


def _check(criterion: str) -> None:
    if criterion not in CRITERIA:
        raise ValueError(f"criterion must be one of {', '.join(CRITERIA)}; got {criterion!r}")


def _path_factor(network: OneHiddenLayer) -> Tensor:
    """``∂R/∂|w_ji| = s_in s_out Σ_o |a_oj|`` for R the sum over absolute paths of ones.

    SynFlow feeds all-ones inputs to the network of absolute weights without its activation.
    """
    scale = network.input_scale * network.output_scale
    column = network.a.abs().sum(dim=0) * scale
    return column[:, None].expand(network.n, network.d).clone()


def factor(
    network: OneHiddenLayer,
    x: Tensor | Batches | None = None,
    y: Tensor | None = None,
    criterion: str = "snip",
    *,
    loss: str | Loss = "squared",
    parameters: str = "input",
    batch_size: int = 4096,
    method: str = "closed",
) -> Tensor:
    """What multiplies the weight in a criterion's score, with its sign; shape (n, d).

    The mean of the loss runs over all samples: data are streamed in batches of ``batch_size``
    and never held as a whole beyond that. Parameters as in :func:`score`. Raises ValueError for
    ``"random"``, which has no factor, and otherwise like :func:`score`.
    """
    _check(criterion)
    if criterion == "random":
        raise ValueError("criterion 'random' has no factor: its score ignores the weight")
    if criterion == "magnitude":
        return torch.ones_like(network.W)
    if criterion == "synflow":
        return _path_factor(network)
    if x is None:
        raise ValueError(f"criterion {criterion!r} needs data: x is None")
    data, chosen = batches(x, y, batch_size), find_loss(loss)
    if criterion == "snip":
        return gradient(network, data, chosen, method).W
    return hessian_gradient(network, data, chosen, parameters, method).W


def score(
    network: OneHiddenLayer,
    x: Tensor | Batches | None = None,
    y: Tensor | None = None,
    criterion: str = "snip",
    *,
    loss: str | Loss = "squared",
    parameters: str = "input",
    batch_size: int = 4096,
    method: str = "closed",
    seed: int = 0,
) -> Tensor:
    """Scores of the input weights, shape (n, d), in the network's dtype and on its device.

    Parameters
    ----------
    x, y: inputs (N, d) and labels (N,) or (N, outputs); or ``x`` an iterable of pairs ``(x, y)``
        that can be iterated twice, and ``y=None``. Random, Magnitude and SynFlow need neither.
    criterion: one of :data:`CRITERIA`.
    loss: ``"squared"``, ½ mean (f − y)², or ``"cross-entropy"``; means over samples.
    parameters: for GraSP, which weights enter g and H: ``"input"`` or ``"all"``.
    batch_size: samples held at a time; the result depends on it by rounding only.
    method: ``"closed"`` (matrix products) or ``"autograd"`` (the reference).
    seed: for Random.

    Weights are the raw ``W`` of the network's parametrisation, after its mask if it has one (a
    masked weight scores 0). Raises ValueError for unknown names, missing data, wrong shapes,
    and data that are not finite.
    """
    _check(criterion)
    if criterion == "random":
        numbers = uniform(generator(seed, "random scores"), (network.n, network.d))
        result = torch.from_numpy(numbers).to(network.W)
        return result if network.mask is None else result * network.mask
    strength = factor(
        network, x, y, criterion, loss=loss, parameters=parameters,
        batch_size=batch_size, method=method,
    )  # fmt: skip
    product = network.effective * strength
    return product if criterion == "grasp-signed" else product.abs_()
