"""Dense kernels against the table of an independent library (`tests/peers/neural_tangents.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from numerics.kernel import GraphonKernel
from theory.duals import dual

TABLE = json.loads(
    (Path(__file__).parents[1] / "peers" / "neural_tangents.json").read_text(encoding="utf-8")
)
# The peer's own rounding, not ours: it computes angles from correlations, so that near equal,
# opposite and parallel inputs half of its digits go; our values there are tested against mpmath.
CLOSE, SAFE = 2e-7, 1e-10
PARALLEL = ("equal", "opposite")


def name(row: dict[str, Any]) -> str:
    """The row's network, for the test's id."""
    inner = ",".join(f"{key}={value}" for key, value in row["parameters"].items())
    return f"{row['activation']}({inner})-{row['depth']}-{row['bias']:g}"


# The peer has no finite number at all for some networks of steps and rectified powers.
ROWS = [row for row in TABLE["rows"] if any(value is not None for value in row["nngp"])]


@pytest.mark.parametrize("row", ROWS, ids=name)
def test_dense_kernels_agree_with_the_peer(row: dict[str, Any]) -> None:
    kernel = GraphonKernel(
        dual(row["activation"], **row["parameters"]),
        depth=row["depth"],
        gain=row["gain"],
        bias=row["bias"],
        ae_derivative=True,
    )
    compared = 0
    for index, pair in enumerate(TABLE["pairs"]):
        label, x, y = pair["name"], pair["x"], pair["y"]
        found = kernel(np.array([x]), np.array([y]))
        own = kernel(np.array([x, y]))
        for kind in ("nngp", "ntk"):
            expected = row[kind][index]
            diagonal = row[f"{kind}_diagonal"][index]
            if expected is None:
                continue
            if None not in diagonal:
                np.testing.assert_allclose(
                    getattr(own, kind).diagonal(), diagonal, rtol=SAFE, atol=1e-15
                )
            size = np.sqrt(np.prod(getattr(own, kind).diagonal().numpy()))
            value = float(getattr(found, kind)[0, 0])
            room = CLOSE if label in PARALLEL else SAFE
            assert abs(value - expected) <= room * max(size, abs(expected)), (label, kind)
            compared += 1
    assert compared >= 2


def test_the_table_covers_what_it_says() -> None:
    assert {row["depth"] for row in ROWS} >= {1, 2}
    assert len({row["activation"] for row in ROWS}) >= 15
    assert set(PARALLEL) < {pair["name"] for pair in TABLE["pairs"]}
