"""Limit kernels of an independent library, as a table that tests compare with.

    python tests/peers/neural_tangents.py [--out tests/peers/neural_tangents.json]

needs an environment of its own: ``neural-tangents==0.6.5``, ``jax==jaxlib==0.4.38``, ``numpy<2``.
The table is written once and kept; nothing else imports this file.

A row is one network: an activation by the name and the parameters it has in ``theory.duals``,
``depth`` hidden layers, variances ``gain`` and ``bias`` of every layer, dense, one output. It
holds ``nngp`` and ``ntk`` of the output for each pair of inputs, and ``nngp_diagonal``,
``ntk_diagonal``: at (x, x) and (x', x') for each pair. Float64; null where the library gives no
finite number.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

X = [0.9, -0.4, 1.3]
PAIRS = {
    "generic": (X, [0.2, 1.1, 0.5]),
    "norms apart": (X, [-4.0, 2.5, 3.0]),
    "equal": (X, X),
    "opposite": (X, [-0.9, 0.4, -1.3]),
    "orthogonal": (X, [0.4, 0.9, 0.0]),
    "one tiny": (X, [1e-6, 2e-6, -1e-6]),
}

ACTIVATIONS: list[tuple[str, dict[str, Any], str, tuple[Any, ...]]] = [
    ("relu", {}, "Relu", ()),
    ("leaky_relu", {"alpha": 0.1}, "LeakyRelu", (0.1,)),
    ("ab_relu", {"a": -0.5, "b": 1.5}, "ABRelu", (-0.5, 1.5)),
    ("abs", {}, "Abs", ()),
    ("rectified_power", {"p": 2}, "RectifiedMonomial", (2,)),
    ("step", {}, "RectifiedMonomial", (0,)),
    ("sign", {}, "Sign", ()),
    ("erf", {}, "Erf", ()),
    ("erf", {"a": 0.5, "b": 2.0, "c": 0.1}, "Erf", (0.5, 2.0, 0.1)),
    ("sigmoid_like", {}, "Sigmoid_like", ()),
    ("gelu", {}, "Gelu", ()),
    ("sin", {"a": 1.5, "b": 0.7, "c": 0.3}, "Sin", (1.5, 0.7, 0.3)),
    ("cos", {"a": 1.5, "b": 0.7, "c": 0.3}, "Cos", (1.5, 0.7, 0.3)),
    ("rbf", {"gamma": 0.8}, "Rbf", (0.8,)),
    ("exp", {"a": 0.8, "b": 0.3}, "Exp", (0.8, 0.3)),
    ("exp_normalized", {"gamma": 1, "shift": -1}, "ExpNormalized", (1.0, -1.0)),
    ("gaussian", {"a": 1, "b": -1}, "Gaussian", (1.0, -1.0)),
    ("gabor", {}, "Gabor", ()),
    ("monomial", {"p": 2}, "Monomial", (2,)),
    ("monomial", {"p": 3}, "Monomial", (3,)),
    ("polynomial", {"coefficients": [0.3, 1.0, -0.2, 0.1]}, "Polynomial", ([0.3, 1.0, -0.2, 0.1],)),
]

# (hidden layers, gain, bias variance)
NETWORKS = ((1, 1.5, 0.0), (2, 0.8, 0.1), (4, 1.5, 0.0))


def table() -> dict[str, Any]:
    """All rows, with the versions that made them."""
    # This file has the library's name, so its folder must not be searched for it.
    sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    import neural_tangents
    from neural_tangents import stax

    def number(value: Any) -> float | None:
        result = float(value)
        return result if math.isfinite(result) else None

    rows = []
    for name, parameters, function, arguments in ACTIVATIONS:
        for depth, gain, bias in NETWORKS:
            options = {"W_std": math.sqrt(gain), "b_std": math.sqrt(bias) if bias else None}
            layers = []
            for _ in range(depth):
                layers += [stax.Dense(8, **options), getattr(stax, function)(*arguments)]
            kernel = stax.serial(*layers, stax.Dense(1, **options))[2]
            row: dict[str, Any] = {
                "activation": name, "parameters": parameters, "depth": depth, "gain": gain,
                "bias": bias, "nngp": [], "ntk": [], "nngp_diagonal": [], "ntk_diagonal": [],
            }  # fmt: skip
            for one, two in PAIRS.values():
                x, y = jnp.array([one]), jnp.array([two])
                for get in ("nngp", "ntk"):
                    row[get].append(number(kernel(x, y, get)[0, 0]))
                    row[f"{get}_diagonal"].append(
                        [number(kernel(point, None, get)[0, 0]) for point in (x, y)]
                    )
            rows.append(row)
    return {
        "made with": {"neural-tangents": neural_tangents.__version__, "jax": jax.__version__},
        "pairs": [{"name": name, "x": x, "y": y} for name, (x, y) in PAIRS.items()],
        "rows": rows,
    }


def main(arguments: list[str] | None = None) -> None:
    """Write the table, one row per line."""
    parser = argparse.ArgumentParser(description="Limit kernels of neural-tangents as a table.")
    parser.add_argument("--out", type=Path, default=HERE / "neural_tangents.json")
    options = parser.parse_args(arguments)
    result = table()
    parts = [f'"made with": {json.dumps(result["made with"])}']
    for key in ("pairs", "rows"):
        parts.append(f'"{key}": [\n' + ",\n".join(map(json.dumps, result[key])) + "\n]")
    text = "{\n" + ",\n".join(parts) + "\n}\n"
    options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
