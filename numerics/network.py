"""One-hidden-layer networks: ``z = s_in (M ∘ W) x``, ``f = s_out a σ(z)``, no bias.

In the NTK parametrisation weights have unit variance and the scales are ``s_in = d^{-1/2}``,
``s_out = n^{-1/2}``; in the standard one the scales are 1 and the weights carry them. Both are
the same random function; what differs is the gradient with respect to a weight.
"""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor

from numerics.activations import Activation, Elementwise
from numerics.activations import activation as find_activation
from numerics.device import resolve
from numerics.sampling import Sampler
from numerics.seeds import generator
from theory.laws import Law

__all__ = ["PARAMETRISATIONS", "OneHiddenLayer"]

PARAMETRISATIONS = ("ntk", "standard")


def _positive(name: str, value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}")
    return value


class OneHiddenLayer:
    """A random network with ``d`` inputs, ``n`` hidden neurons and ``outputs`` outputs.

    Attributes: ``W`` of shape (n, d) and ``a`` of shape (outputs, n), without the scales
    ``input_scale`` and ``output_scale`` that the forward pass applies; ``mask`` of shape (n, d),
    bool, or None.

    Parameters
    ----------
    parametrisation: ``"ntk"`` or ``"standard"`` (see the module).
    law, output_law: laws of the weights in units of their scale; None is the standard normal.
    antisymmetric: the second half of the neurons repeats the first with negated output weights,
        so that f ≡ 0 up to rounding while the tangent kernel is that of ``n`` neurons. The scores
        of the two copies of an edge are equal, so a mask must break ties.
    seed: integer; weights depend on nothing else (nor on the device).
    dtype: torch.float64 or torch.float32; the two are different draws.

    Raises ValueError for sizes that are not positive, an odd ``n`` with ``antisymmetric``, an
    unknown parametrisation, activation, device or dtype.
    """

    def __init__(
        self,
        d: int,
        n: int,
        activation: str | Activation | Elementwise = "tanh",
        *,
        outputs: int = 1,
        parametrisation: str = "ntk",
        law: Law | None = None,
        output_law: Law | None = None,
        antisymmetric: bool = False,
        seed: int = 0,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> None:
        self.d, self.n = _positive("d", d), _positive("n", n)
        self.outputs = _positive("outputs", outputs)
        self.activation = find_activation(activation)
        if parametrisation not in PARAMETRISATIONS:
            raise ValueError(
                f"parametrisation must be one of {PARAMETRISATIONS}, got {parametrisation!r}"
            )
        if antisymmetric and n % 2:
            raise ValueError(f"n must be even for an antisymmetric initialisation, got {n}")
        self.parametrisation = parametrisation
        self.seed = seed
        self.mask: Tensor | None = None

        drawn = n // 2 if antisymmetric else n
        W = torch.from_numpy(Sampler(law, dtype)(generator(seed, "input weights"), (drawn, d)))
        a = torch.from_numpy(
            Sampler(output_law, dtype)(generator(seed, "output weights"), (outputs, drawn))
        )
        if antisymmetric:
            W, a = torch.cat((W, W)), torch.cat((a, -a), dim=1)
        scales = (1.0 / math.sqrt(d), 1.0 / math.sqrt(n))
        if parametrisation == "standard":
            W, a = W * scales[0], a * scales[1]
            scales = (1.0, 1.0)
        self.input_scale, self.output_scale = scales
        place = resolve(device)
        self.W, self.a = W.to(place), a.to(place)

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return self.W.device

    @property
    def dtype(self) -> torch.dtype:
        """The weights' floating-point type."""
        return self.W.dtype

    @property
    def effective(self) -> Tensor:
        """``M ∘ W``, shape (n, d)."""
        return self.W if self.mask is None else self.W * self.mask

    def pruned(self, mask: Tensor) -> OneHiddenLayer:
        """The network with a mask of shape (n, d), bool, on the same weights.

        A mask that is there already is replaced. Raises ValueError for another shape or dtype.
        """
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
            raise ValueError("mask must be a tensor of dtype torch.bool")
        if mask.shape != self.W.shape:
            raise ValueError(f"mask must have shape {tuple(self.W.shape)}, got {tuple(mask.shape)}")
        result = copy.copy(self)
        result.mask = mask.to(self.device)
        return result

    def check_inputs(self, x: Tensor) -> Tensor:
        """``x`` on the network's device and dtype; ValueError unless it has shape (N, d)."""
        if not isinstance(x, Tensor) or x.ndim != 2 or x.shape[1] != self.d:
            got = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"x must be a tensor of shape (N, {self.d}), got {got}")
        return x.to(self.device, self.dtype)

    def preactivation(self, x: Tensor, W: Tensor | None = None) -> Tensor:
        """``z = s_in (M ∘ W) x`` for inputs of shape (N, d): shape (N, n)."""
        effective = self.effective if W is None else (W if self.mask is None else W * self.mask)
        return self.check_inputs(x) @ (effective.T * self.input_scale)

    def forward(self, x: Tensor, W: Tensor | None = None, a: Tensor | None = None) -> Tensor:
        """Outputs of shape (N, outputs) for inputs (N, d).

        ``W`` and ``a`` replace the network's own weights; the mask still applies to ``W``.
        """
        h = self.activation.value(self.preactivation(x, W))
        return h @ ((self.a if a is None else a).T * self.output_scale)

    __call__ = forward
