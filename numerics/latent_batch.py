"""A batch seen by a wide dense network: covariances of its latents, residuals, roots to draw from.

For a batch of N inputs and widths ``(d, n_1, .., n_L, outputs)`` a neuron of hidden layer l has
two vectors on the batch, its pre-activation ``z`` and what its output weights send back, which
in the limit of wide layers are independent Gaussian draws:

    z_l ~ N(0, S_l),      S_1 = gain_1 x x^T / d,    S_l = gain_l E[s(z_{l-1}) s(z_{l-1})^T]
    b_{l,o} ~ N(0, B_l),  B_L = gain_{L+1} 1 1^T,    B_l = gain_{l+1} B_{l+1} o E[s'(z_{l+1}) s'^T]

(plus the variance of the biases in S_l), independent over the outputs o. A first-order score of
a weight is ``|w| kappa_l |<psi, h>|`` with ``psi = s'(z) o sum_o b_o o r_o`` of its target, the
state ``h = s(z)`` of its source and the residual r. Two ends are finite, not wide: the first
layer's sources are the d coordinates of the input, the last one's targets the outputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from numerics.activations import Activation
from numerics.activations import activation as find_activation
from numerics.device import resolve
from numerics.initialisation import PARAMETRISATIONS
from numerics.kernel_hermite import dual_values
from numerics.latent_covariance import dual_moments, gaussian_root
from numerics.latent_residual import gauss_newton, merged
from numerics.losses import Loss
from numerics.losses import loss as find_loss
from numerics.matrix_input import as_real_array
from numerics.mlp import MLP, check_widths
from numerics.sampling import Sampler
from theory.dual import DualActivation
from theory.duals import CustomDual, dual
from theory.laws import Law

__all__ = ["LatentBatch"]

_TOLERANCE = 1e-9
_SINGULAR = 1e-10


class LatentBatch:
    """The batch, its covariances in every layer, and where its residual comes from.

    Args:
        x: inputs (N, d), real and finite; they enter as ``<x, x'> / d``.
        widths: ``(d, n_1, .., n_L, outputs)``, L ≥ 1. They weigh the layers under one threshold.
        activation: a name in :data:`theory.duals.DUALS`, a :class:`~theory.dual.DualActivation`
            or a SymPy expression in one symbol.
        gain: variance of a weight times its fan-in, one number or one per layer (L + 1).
        bias: variance of the bias term, one number or one per layer.
        loss: "cross-entropy", "squared", or a :class:`numerics.losses.Loss` (which is how a
            temperature enters).
        y: labels, as the loss takes them. Needed unless ``residual`` is given.
        residual: derivative of the summed loss by the outputs, (N, outputs), given.
        output: the dense network's outputs (N, outputs), given; then the residual is theirs.
            With neither the residual is random: :meth:`draw_output`.
        law: law of the weights in units of their scale, None for the standard normal; biases
            are normal.
        parametrisation: "ntk", or "standard" where weights carry their scale and gradients are
            those by the scaled weights; it enters GraSP and Magnitude.
        device: as :func:`numerics.device.resolve`.

    Attributes: ``n`` (inputs), ``outputs``, ``depth`` (L), ``layers`` (L + 1), ``gains``,
    ``biases``, ``activation`` (:class:`numerics.activations.Activation`), ``loss``,
    ``covariance[l-1]`` = S_l for l = 1 .. L + 1 (the last is that of an output), ``state[l]`` =
    E[h_l h_l^T] for l = 0 .. L (x x^T / d first), ``slope[l-1]`` = E[s' s'^T] and ``backward[l-1]``
    = B_l for l = 1 .. L; all (N, N), float64. ``notes`` says what is unusual about the batch.

    Raises ValueError naming the argument: shapes, numbers that are not finite, a residual of
    zeros, labels that do not fit, an activation without a dual, a law without unit variance.
    """

    def __init__(
        self,
        x: Any,
        widths: Sequence[int],
        activation: str | DualActivation | sp.Expr = "relu",
        *,
        gain: float | Sequence[float] = 1.0,
        bias: float | Sequence[float] = 0.0,
        loss: str | Loss = "cross-entropy",
        y: Any = None,
        residual: Any = None,
        output: Any = None,
        law: Law | None = None,
        parametrisation: str = "ntk",
        device: str | torch.device = "cpu",
    ) -> None:
        self.device = resolve(device)
        self.widths = check_widths(widths)
        self.layers = len(self.widths) - 1
        self.depth = self.layers - 1
        if self.depth < 1:
            raise ValueError(f"widths must have at least one hidden layer, got {self.widths}")
        self.x = _matrix(x, "x", self.device)
        self.n, self.outputs = len(self.x), self.widths[-1]
        if self.x.shape[1] != self.widths[0]:
            raise ValueError(
                f"x must have {self.widths[0]} coordinates as widths says, got {self.x.shape[1]}"
            )
        if isinstance(activation, str):
            find_activation(activation)  # names the argument
        family = dual(activation)
        if isinstance(family, CustomDual) and family.function is not None:
            raise ValueError("activation must be a name or a formula, not a numeric function")
        self.activation: Activation = find_activation(family)
        if not family.weakly_differentiable:
            raise ValueError(f"activation {family.name!r} jumps, and then scores have no limit")
        self.gains = _numbers("gain", gain, self.layers)
        self.biases = _numbers("bias", bias, self.layers)
        self.loss = find_loss(loss)
        if parametrisation not in PARAMETRISATIONS:
            raise ValueError(
                f"parametrisation must be one of {PARAMETRISATIONS}, got {parametrisation!r}"
            )
        self.parametrisation = parametrisation
        self.law = law
        self.sampler = Sampler(law)
        if law is not None and sp.simplify(law.variance - 1) != 0:
            raise ValueError(f"law must have variance 1 (gain holds the scale), got {law.variance}")
        self._duals = dual_values(family, _TOLERANCE)
        self._recursion()
        self.y = None if y is None else self._labels(y)
        self.output = None if output is None else self._of_outputs(output, "output")
        self.given = None if residual is None else self._of_outputs(residual, "residual")
        if self.given is not None and self.output is not None:
            raise ValueError("output must not be given along with residual")
        if self.given is None:
            if self.y is None:
                raise ValueError("y must be given unless residual is")
            if self.output is not None:
                self.given = self.residual_of(self.output)
        if self.given is not None and not bool(self.given.any()):
            raise ValueError("residual must not be all zeros: every score would be zero")
        self.notes = self._notes()

    @classmethod
    def of(
        cls, net: MLP, x: Any, y: Any, *, loss: str | Loss = "cross-entropy", law: Law | None = None
    ) -> LatentBatch:
        """The batch as a network sees it: its architecture, and its own outputs' residual.

        The network must be dense; ``law`` None is the one that its weights were drawn from.
        Biases that are all zero (Kaiming's) have variance zero. Raises ValueError as the class
        does, and for a network with masks; TypeError for no MLP.
        """
        if not isinstance(net, MLP):
            raise TypeError(f"net must be an MLP, got {type(net).__name__}")
        if any(mask is not None for mask in net.masks):
            raise ValueError("net must be dense: its masks are what the limit predicts")
        if net.profiled:
            raise ValueError("net must have weights of one variance, not a variance profile")
        pairs = zip(net.bias_scales, net.biases, strict=True)
        return cls(
            x, net.widths, net.activation.name, gain=net.gains,
            bias=[0.0 if b is None or not bool(b.any()) else s**2 for s, b in pairs],
            loss=loss, y=y, output=net(_matrix(x, "x", net.device)),
            law=net.law if law is None else law,
            parametrisation=getattr(net, "parametrisation", "ntk"), device=net.device,
        )  # fmt: skip

    # ---------------------------------------------------------------------------- recursion
    def _recursion(self) -> None:
        gram = self.x @ self.x.T / self.widths[0]
        self.state, self.covariance, self.slope = [gram], [], []
        for layer in range(self.layers):
            self.covariance.append(self.gains[layer] * self.state[layer] + self.biases[layer])
            if not bool(torch.isfinite(self.covariance[layer]).all()):
                raise ValueError(
                    f"x, gain and activation must give finite covariances; that of layer "
                    f"{layer + 1} overflows, or the activation has no second moment"
                )
            if layer < self.depth:
                kappa, slope = dual_moments(self._duals, self.covariance[layer].cpu())
                self.state.append(kappa.to(self.device))
                self.slope.append(slope.to(self.device))
        passed = torch.full_like(gram, self.gains[-1])
        self.backward = [passed]
        for layer in range(self.depth - 1, 0, -1):
            passed = self.gains[layer] * passed * self.slope[layer]
            self.backward.insert(0, passed)

    @cached_property
    def tangent(self) -> list[Tensor]:
        """Shares of the L + 1 matrices of weights in the dense NTK of one output, each (N, N).

        In NTK parametrisation, biases left out.
        """
        out = []
        for layer in range(self.layers):
            share = self.gains[layer] * self.state[layer]
            if layer < self.depth:
                share = share * self.backward[layer] * self.slope[layer]
            out.append(share)
        return out

    def kernel(self, parametrisation: str | None = None) -> Tensor:
        """The dense NTK on the batch (one output; weights only), (N, N).

        In the standard parametrisation a layer's share is divided by the square of its scale,
        ``gain_l / n_{l-1}``.
        """
        chosen = self.parametrisation if parametrisation is None else parametrisation
        scales = [1.0 if chosen == "ntk" else self.scale(k + 1) ** -2 for k in range(self.layers)]
        total: Tensor = sum(s * share for s, share in zip(scales, self.tangent, strict=True))  # type: ignore[assignment]
        return total

    def scale(self, layer: int) -> float:
        """``(gain_l / n_{l-1})^{1/2}``, the standard deviation of a scaled weight of a layer."""
        return math.sqrt(self.gains[layer - 1] / self.widths[layer - 1])

    def kappa(self, layer: int) -> float:
        """Factor of ``|w| |<psi, h>|`` in the scores of a layer from 1 to L + 1.

        ``(gain_l / (n_{l-1} n_l))^{1/2}``, and ``(gain_{L+1} / n_L)^{1/2}`` for the output layer,
        whose psi are the residuals of the outputs. Scores are those of the *summed* loss.
        """
        if not 1 <= layer <= self.layers:
            raise ValueError(f"layer must lie between 1 and {self.layers}, got {layer}")
        wide = self.widths[layer] if layer < self.layers else 1
        return self.scale(layer) / math.sqrt(wide)

    # ----------------------------------------------------------------------------- residuals
    @property
    def residual_given(self) -> bool:
        """Whether the residual is given rather than random."""
        return self.given is not None

    def draw_output(self, rng: np.random.Generator) -> Tensor:
        """Outputs (N, outputs) of a random dense network of infinite width: an NNGP draw."""
        root = self._output_root
        normal = torch.from_numpy(rng.standard_normal((root.shape[1], self.outputs)))
        return root @ normal.to(self.device)

    @cached_property
    def _output_root(self) -> Tensor:
        return gaussian_root(self.covariance[-1])

    def residual_of(self, output: Tensor) -> Tensor:
        """Derivative of the summed loss by the outputs, (N, outputs). ValueError without labels."""
        if self.y is None:
            raise ValueError("y must be given for the residual of outputs")
        return self.loss.residual(output, self.y)

    def draw_residual(self, rng: np.random.Generator) -> Tensor:
        """The residual of :meth:`draw_output`, or the given one, (N, outputs)."""
        return self.residual_of(self.draw_output(rng)) if self.given is None else self.given

    def effective_residual(
        self, residual: Tensor, output: Tensor | None, criterion: str = "snip"
    ) -> Tensor:
        """What takes the residual's place in a criterion's scores, (N, outputs).

        The residual itself for "snip"; for "grasp-signed" and "grasp" ``C Theta r`` with the
        loss's curvature C in the outputs and the dense NTK, the Gauss-Newton part of ``H g``.
        ``output`` may be None where the curvature does not need it (squared loss) or where
        labels and residual determine it. Entries that are mere rounding are zero. Raises
        ValueError where they do not, or contradict each other.
        """
        if not criterion.startswith("grasp"):
            return residual
        return gauss_newton(self.x, self.kernel(), self.loss, self.y, residual, output)

    def scored_residual(
        self, residual: Tensor, output: Tensor | None, criterion: str = "snip"
    ) -> Tensor:
        """:meth:`effective_residual` with that of equal inputs at the first of them.

        Raises ValueError, besides, where it vanishes or cancels over equal inputs.
        """
        found = merged(self.x, self.effective_residual(residual, output, criterion))
        if not bool(found.any()):
            raise ValueError(
                f"residual must not vanish, or cancel over equal inputs: scores of {criterion!r} "
                "are all zero"
            )
        return found

    # ------------------------------------------------------------------------------ sampling
    @cached_property
    def roots(self) -> list[Tensor]:
        """Roots of S_1 .. S_L: ``z = root @ normal`` for a hidden layer's pre-activations."""
        return [gaussian_root(covariance) for covariance in self.covariance[:-1]]

    def send_root(self, layer: int, residual: Tensor) -> Tensor:
        """Root of the covariance of ``sum_o b_o o r_o`` at hidden layer l, (N, rank).

        The sum over outputs is Gaussian with covariance ``B_l o r r^T``; at the last hidden
        layer this is ``gain^{1/2} r``, so that the normal numbers are the output weights.
        """
        if not 1 <= layer <= self.depth:
            raise ValueError(f"layer must lie between 1 and {self.depth}, got {layer}")
        if layer == self.depth:
            return math.sqrt(self.gains[-1]) * residual
        return gaussian_root(self.backward[layer - 1] * (residual @ residual.T))

    # ---------------------------------------------------------------------------- bad inputs
    def _labels(self, y: Any) -> Tensor:
        labels = y if isinstance(y, Tensor) else torch.as_tensor(as_real_array(y, "y"))
        checked = self.loss.check(labels, self.n, self.outputs, self.x)
        if checked.is_floating_point() and not bool(torch.isfinite(checked).all()):
            raise ValueError("y must be finite, but holds NaN or infinity")
        return checked

    def _of_outputs(self, value: Any, name: str) -> Tensor:
        matrix = _matrix(value, name, self.device)
        if matrix.shape != (self.n, self.outputs):
            raise ValueError(
                f"{name} must have shape ({self.n}, {self.outputs}), got {tuple(matrix.shape)}"
            )
        return matrix

    def _notes(self) -> tuple[str, ...]:
        out = []
        still = int((self.x == self.x[0]).all(dim=0).sum())
        if self.n == 1:
            out.append("the batch holds one input only: one class, and every coordinate constant")
        elif self.y is not None and len(self.y.unique(dim=0)) == 1:
            label = "all labels are equal" if self.y.is_floating_point() else int(self.y[0])
            out.append(f"the batch holds one class only ({label})")
        if still and self.n > 1:
            out.append(f"{still} of {self.widths[0]} input coordinates are constant on the batch")
        silent = int((~(self.x != 0.0).any(dim=0)).sum())
        if silent:
            out.append(f"{silent} of {self.widths[0]} input coordinates are zero on the batch")
        empty = int((~(self.x != 0.0).any(dim=1)).sum())
        if empty:
            out.append(f"{empty} of {self.n} inputs are zero")
        copies = self.n - len(self.x.unique(dim=0))
        if copies:
            out.append(f"{copies} of {self.n} inputs are duplicates of others")
        for layer, covariance in enumerate(self.covariance, start=1):
            values = torch.linalg.eigvalsh(covariance)
            rank = int((values > _SINGULAR * values[-1]).sum())
            if rank < self.n:
                out.append(
                    f"the covariance of layer {layer} on the batch is singular (rank {rank} of "
                    f"{self.n} at {_SINGULAR:g}): latents are drawn from its eigenvectors"
                )
        return tuple(out)


def _matrix(value: Any, name: str, device: torch.device) -> Tensor:
    """A real, finite, non-empty matrix in float64; ValueError naming it otherwise."""
    real = isinstance(value, Tensor)
    matrix = value if real else torch.as_tensor(as_real_array(value, name))
    if matrix.ndim != 2 or 0 in matrix.shape or matrix.is_complex():
        raise ValueError(
            f"{name} must be a non-empty real matrix, got shape {tuple(matrix.shape)} "
            f"and dtype {matrix.dtype}"
        )
    matrix = matrix.detach().to(device, torch.float64)
    if not bool(torch.isfinite(matrix).all()):
        raise ValueError(f"{name} must be finite, but holds NaN or infinity")
    return matrix


def _numbers(name: str, value: Any, count: int) -> tuple[float, ...]:
    listed = as_real_array(value, name).astype(np.float64)
    if listed.ndim > 1 or listed.size != count * listed.ndim + (not listed.ndim):
        raise ValueError(
            f"{name} must be one number or {count}, one per layer; got shape {listed.shape}"
        )
    out = tuple(float(v) for v in np.broadcast_to(listed, (count,)))
    good = all(math.isfinite(v) and (v > 0.0 or (name == "bias" and v == 0.0)) for v in out)
    if not good:
        raise ValueError(f"{name} must be positive (a bias may be 0) and finite, got {value!r}")
    return out
