"""Pruning scores of every weight of a deep network, from closed forms.

The larger the score, the better a weight's chances to be kept. With g and H the gradient and the
Hessian of the mean loss in the weights (:mod:`numerics.deep_derivatives`), and θ a stored weight:

==========  ==============  ============================================
criterion   score           if ``θ_l = s_l W_l`` is stored in place of W
==========  ==============  ============================================
random      uniform         the same
magnitude   ``|θ|``         ``s |W|``
SNIP        ``|θ ∘ g|``     the same
GraSP       ``θ ∘ H g``     ``W ∘ H (g / s²)``, H and g still in W
==========  ==============  ============================================

``θ ∘ ∂ℒ/∂θ`` is invariant under a change of scale, so SNIP is; GraSP compares the layers' gradients
with one another and is not. Where a mask is, weights score zero.

Sources: Lee et al. 2019 (SNIP). Wang et al. 2020 (GraSP): it removes the largest ``−θ ∘ H g``,
which are the smallest scores here; as in its code g and H are taken in the weights and not in
the biases; that code divides the outputs by 200 in both passes.
"""

from __future__ import annotations

import numbers
from typing import Any

import torch
from torch import Tensor

from numerics.deep_derivatives import hessian_gradient, mean_gradients
from numerics.gradients import Batches
from numerics.initialisation import stored_scales
from numerics.losses import Loss
from numerics.losses import loss as find_loss
from numerics.mlp import MLP
from numerics.sampling import numpy_dtype
from numerics.seeds import generator

__all__ = [
    "Tempered",
    "checked_temperature",
    "grasp_scores",
    "magnitude_scores",
    "random_scores",
    "ranked_grasp_scores",
    "snip_scores",
    "uniform_score",
]


def checked_temperature(temperature: Any) -> float:
    """A temperature as a float; ValueError unless it is a positive, finite number."""
    number = isinstance(temperature, numbers.Real) and not isinstance(temperature, bool)
    if not number or not 0.0 < float(temperature) < float("inf"):
        raise ValueError(f"temperature must be positive and finite, got {temperature!r}")
    return float(temperature)


class Tempered(Loss):
    """Another loss of outputs divided by a temperature: ``ℓ(f / T, y)``."""

    def __init__(self, inner: Loss, temperature: float) -> None:
        self.inner, self.temperature = inner, checked_temperature(temperature)
        self.name = f"{inner.name} at temperature {self.temperature:g}"

    def check(self, y: Tensor, samples: int, outputs: int, like: Tensor) -> Tensor:
        """As the inner loss."""
        return self.inner.check(y, samples, outputs, like)

    def total(self, f: Tensor, y: Tensor) -> Tensor:
        """The inner total at ``f / T``."""
        return self.inner.total(f / self.temperature, y)

    def residual(self, f: Tensor, y: Tensor) -> Tensor:
        """The inner residual at ``f / T``, divided by T."""
        return self.inner.residual(f / self.temperature, y) / self.temperature

    def curvature(self, f: Tensor, direction: Tensor) -> Tensor:
        """The inner curvature at ``f / T``, divided by T²."""
        return self.inner.curvature(f / self.temperature, direction / self.temperature**2)


@torch.no_grad()
def snip_scores(
    net: MLP,
    x: Tensor | Batches,
    y: Tensor | None = None,
    loss: str | Loss = "cross-entropy",
    *,
    batch_size: int | None = None,
) -> list[Tensor]:
    """``|W ∘ ∂ℒ/∂W|`` per layer, shapes (n_l, n_{l-1}), in the network's dtype and place.

    Arguments and errors as in :func:`numerics.deep_derivatives.mean_gradients`. The same under
    every parametrisation.
    """
    grads = mean_gradients(net, x, y, loss, batch_size=batch_size)
    return [g.mul_(W).abs_() for g, W in zip(grads, net.weights, strict=True)]


@torch.no_grad()
def grasp_scores(
    net: MLP,
    x: Tensor | Batches,
    y: Tensor | None = None,
    loss: str | Loss = "cross-entropy",
    *,
    temperature: float | None = None,
    gauss_newton: bool = False,
    parametrisation: str | None = None,
    batch_size: int | None = None,
) -> list[Tensor]:
    """``θ ∘ H g`` per layer, *signed*: GraSP keeps the largest; its magnitude variant, the |·|.

    Parameters
    ----------
    temperature: divides the outputs in both passes; None is 1, the published code has 200.
    gauss_newton: ``JᵀBJ g`` in place of ``H g``.
    parametrisation: ``"ntk"`` or ``"standard"``; None is the network's own.

    Other arguments, shapes and errors as in :func:`numerics.deep_derivatives.mean_gradients`.
    """
    scores, unit = ranked_grasp_scores(
        net, x, y, loss, temperature=temperature, gauss_newton=gauss_newton,
        parametrisation=parametrisation, batch_size=batch_size,
    )  # fmt: skip
    return [each.mul_(unit) for each in scores]


@torch.no_grad()
def ranked_grasp_scores(
    net: MLP,
    x: Tensor | Batches,
    y: Tensor | None = None,
    loss: str | Loss = "cross-entropy",
    *,
    temperature: float | None = None,
    gauss_newton: bool = False,
    parametrisation: str | None = None,
    batch_size: int | None = None,
) -> tuple[list[Tensor], float]:
    """:func:`grasp_scores` over a power of two, and that power, about the gradient's largest entry.

    The ranking is the same, and single precision can hold it in deeper networks.
    """
    chosen = find_loss(loss)
    if temperature is not None:
        chosen = Tempered(chosen, temperature)
    product, unit = hessian_gradient(
        net, x, y, chosen, gauss_newton=gauss_newton, parametrisation=parametrisation,
        batch_size=batch_size,
    )  # fmt: skip
    return [each.mul_(W) for each, W in zip(product, net.weights, strict=True)], unit


@torch.no_grad()
def magnitude_scores(net: MLP, parametrisation: str | None = None) -> list[Tensor]:
    """``|θ|`` per layer: ``|W|``, or ``scale |W|`` under ``"standard"``; zero where a mask is."""
    scores = []
    for W, mask, s in zip(net.weights, net.masks, stored_scales(net, parametrisation), strict=True):
        score = W.abs() if s == 1.0 else W.abs().mul_(s)
        scores.append(score if mask is None else score.mul_(mask))
    return scores


def uniform_score(like: Tensor, layer: int, seed: int) -> Tensor:
    """Uniform numbers in (0, 1) in a weight's shape, dtype and place; layers count from 1."""
    rng = generator(seed, "random scores", layer)
    numbers = rng.random(tuple(like.shape), dtype=numpy_dtype(like.dtype))
    return torch.from_numpy(numbers).add_(2.0**-25).to(like.device)


def random_scores(net: MLP, seed: int = 0) -> list[Tensor]:
    """Uniform numbers in (0, 1) per layer, zero where a mask is.

    A layer's numbers depend on the seed, its shape and its place alone; they have the network's
    dtype, so in float32 there are equal ones among millions.
    """
    scores = []
    for layer, (W, mask) in enumerate(zip(net.weights, net.masks, strict=True), start=1):
        score = uniform_score(W, layer, seed)
        scores.append(score if mask is None else score.mul_(mask))
    return scores
