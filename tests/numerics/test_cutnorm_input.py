"""What cut norms refuse, and that the message names the argument."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from numerics.cutnorm import bracket, bracket_between, exact


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"A": [[1.0, math.nan]]}, "A"),
        ({"A": [[1.0, math.inf]]}, "A"),
        ({"A": [1.0, 2.0]}, "A"),
        ({"A": np.zeros((0, 3))}, "A"),
        ({"A": [["a", "b"]]}, "A"),
        ({"A": [[1j]]}, "A"),
        ({"A": torch.ones(2, 2, dtype=torch.complex64)}, "A"),
        ({"A": [[1], [2, 3]]}, "A"),
        ({"A": [[2**60]]}, "A"),
        ({"A": [[1.0, 2.0]], "column_weights": [0.5, 0.6]}, "column_weights"),
        ({"A": [[1.0, 2.0]], "column_weights": [1.5, -0.5]}, "column_weights"),
        ({"A": [[1.0, 2.0]], "column_weights": [1.0]}, "column_weights"),
        ({"A": [[1.0, 2.0]], "row_weights": [math.nan]}, "row_weights"),
        ({"A": [[1.0, 2.0]], "effort": "heroic"}, "effort"),
        ({"A": [[1.0, 2.0]], "seed": -1}, "seed"),
        ({"A": [[1.0, 2.0]], "seed": 0.5}, "seed"),
    ],
)
def test_bad_input_names_the_argument(arguments, name):
    with pytest.raises(ValueError, match=rf"^{name} "):
        bracket(**arguments)


def test_bad_pairs_and_large_enumerations_are_refused():
    with pytest.raises(ValueError, match=r"^Q must"):
        bracket_between([[1.0]], [1.0])
    with pytest.raises(ValueError, match=r"^row_widths must be a pair"):
        bracket_between([[1.0]], [[1.0]], row_widths=[1.0])
    with pytest.raises(ValueError, match=r"^column_widths\[1\] must"):
        bracket_between([[1.0]], [[1.0]], column_widths=(None, [0.5, 0.5]))
    with pytest.raises(ValueError, match=r"^A must have at most 24"):
        exact(np.random.default_rng(0).standard_normal((30, 30)))
