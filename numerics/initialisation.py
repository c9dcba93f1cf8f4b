"""Deep networks as frameworks initialise them: NTK, Kaiming and PyTorch's default.

All three are :class:`numerics.mlp.MLP`, whose forward pass puts a scale in front of stored weights
of variance one; they are the same functions as the networks that they are named after. What a
framework *stores* differs: under ``"ntk"`` the weight itself, under the other two the weight with
its scale. Scores that are not invariant under such a change of variables (Magnitude, GraSP) must
know which, so a network carries it as ``parametrisation``.

===========  =================================  ====================================  ============
scheme       stored weight                      bias, where there is one              its variance
===========  =================================  ====================================  ============
``ntk``      ``N(0, 1)``, scale outside         ``N(0, β²)``                          as given
``kaiming``  ``N(0, g/fan_in)``, g = 2          0                                     trains, is 0
``pytorch``  ``U(-1, 1)/fan_in^{1/2}``          ``U(-1, 1)/fan_in^{1/2}``             1/(3 fan_in)
===========  =================================  ====================================  ============

Sources: Jacot et al. 2018 for the first; He et al. 2015 for the second (normal, fan-in, the gain
of ReLU); ``torch.nn.Linear.reset_parameters`` for the third.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from numerics.activations import Activation, Elementwise
from numerics.mlp import MLP, check_widths
from numerics.sampling import Sampler
from numerics.seeds import generator
from theory.laws import Law, Uniform

__all__ = ["PARAMETRISATIONS", "SCHEMES", "initialised", "stored_scales"]

SCHEMES = ("ntk", "kaiming", "pytorch")
"""Initialisations by name."""
PARAMETRISATIONS = ("ntk", "standard")
"""What a stored weight is: ``W``, or ``scale · W``."""

_UNIT_UNIFORM = Uniform()


def initialised(
    widths: Sequence[int],
    activation: str | Activation | Elementwise = "relu",
    scheme: str = "ntk",
    seed: int = 0,
    *,
    bias: bool | float = False,
    gain: float | Sequence[float] | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
) -> MLP:
    """A random network under one of :data:`SCHEMES`.

    Parameters
    ----------
    widths: ``(d, n_1, .., n_L, outputs)``.
    scheme: see the module; it fixes the law of weights and biases and ``parametrisation``.
    seed: integer; under ``"ntk"`` and ``"kaiming"`` the normal numbers are the same.
    bias: whether there are biases. Under ``"ntk"`` a number is their variance, True is 1.
    gain: variance of a weight times its fan-in, one number or one per layer; by default 1 under
        ``"ntk"`` and 2 under ``"kaiming"``. PyTorch's default has none to choose (it is 1/3).
    dtype: torch.float64 or torch.float32, two different draws.

    Raises ValueError for an unknown scheme, a gain or a variance of biases that the scheme does
    not have, and like :class:`numerics.mlp.MLP`.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}; got {scheme!r}")
    if scheme != "ntk" and not isinstance(bias, bool):
        raise ValueError(f"bias must be True or False under scheme {scheme!r}, got {bias!r}")
    if not isinstance(bias, bool | int | float):
        raise ValueError(f"bias must be True, False or a variance, got {bias!r}")
    sizes = check_widths(widths)
    if scheme == "ntk":
        return MLP(
            sizes, activation, gain=1.0 if gain is None else gain, bias=float(bias), seed=seed,
            device=device, dtype=dtype,
        )  # fmt: skip
    if scheme == "kaiming":
        gain, law = 2.0 if gain is None else gain, None
        variances: list[float] | float = 1.0 if bias else 0.0
    else:
        if gain is not None:
            raise ValueError("gain must be None under scheme 'pytorch': it is 1/3 by definition")
        gain, law = 1.0 / 3.0, _UNIT_UNIFORM
        variances = [1.0 / (3.0 * n) for n in sizes[:-1]] if bias else 0.0
    net = MLP(
        sizes, activation, gain=gain, bias=variances, law=law, seed=seed, device=device, dtype=dtype
    )
    if bias:
        net = net.replaced(net.weights, _biases(net, law, seed))
    net.parametrisation = "standard"
    return net


def _biases(net: MLP, law: Law | None, seed: int) -> list[Tensor | None]:
    """Zeros (Kaiming), or uniform numbers of variance one (PyTorch)."""
    if law is None:
        return [torch.zeros_like(W[:, 0]) for W in net.weights]
    sample = Sampler(law, net.dtype)
    return [
        torch.from_numpy(sample(generator(seed, "biases", layer), (len(W),))).to(net.device)
        for layer, W in enumerate(net.weights, start=1)
    ]


def stored_scales(net: MLP, parametrisation: str | None = None) -> tuple[float, ...]:
    """What a stored weight is in units of ``W``, per layer: 1, or the layer's scale.

    ``parametrisation`` None is the network's own. Raises ValueError for an unknown one.
    """
    chosen = net.parametrisation if parametrisation is None else parametrisation
    if chosen not in PARAMETRISATIONS:
        raise ValueError(
            f"parametrisation must be one of {', '.join(PARAMETRISATIONS)}; got {chosen!r}"
        )
    return net.scales if chosen == "standard" else (1.0,) * net.layers
