"""Modules that share parts, compute weights or draw numbers: pruned, and left as they were."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from numerics.mlp import MLP
from numerics.module_pruning import PrunedModule, prune_module
from numerics.module_scores import Differentiable, module_scores
from numerics.pruning import DEEP_CRITERIA, prune
from numerics.ranking import kept_count

Cases = dict[str, Callable[[], nn.Module]]


def data(n: int = 12) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return torch.randn(n, 6, generator=rng), torch.randint(0, 3, (n,), generator=rng)


class Blocks(nn.Module):
    """The same normalisation, or the same block, under two names."""

    def __init__(self, shared: nn.Module) -> None:
        super().__init__()
        self.inp, self.mid, self.out = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.one = nn.Sequential(shared, nn.ReLU())
        self.two = nn.Sequential(shared, nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.two(self.mid(self.one(self.inp(x)))))


class Twice(nn.Module):
    """One layer with two names, used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(6, 6)
        self.b = self.a
        self.o = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(torch.relu(self.b(torch.relu(self.a(x)))))


class Tied(nn.Module):
    """An embedding whose weights are those of the head."""

    def __init__(self) -> None:
        super().__init__()
        self.e, self.h, self.o = nn.Embedding(6, 5), nn.Linear(5, 5), nn.Linear(5, 6, bias=False)
        self.o.weight = self.e.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.o(torch.relu(self.h(self.e(x))))


def reused() -> nn.Module:
    block = nn.Linear(6, 6)
    return nn.Sequential(block, nn.ReLU(), block, nn.ReLU(), nn.Linear(6, 3))


def shared_bias() -> nn.Module:
    module = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.Linear(6, 3))
    module[2].bias = module[0].bias
    return module


SHARING: Cases = {
    "batch norm": lambda: Blocks(nn.BatchNorm1d(6)),
    "PReLU": lambda: Blocks(nn.PReLU()),
    "block": lambda: Blocks(nn.Linear(6, 6)),
    "layer": Twice,
    "sequence": reused,
    "bias": shared_bias,
}


def state(module: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """Every place's tensor, which must stay the same object, and its numbers."""
    return {
        f"{name}.{key}": (held, held.detach().clone())
        for name, part in module.named_modules()
        for key, held in (part._parameters | part._buffers).items()
        if held is not None
    }


@pytest.mark.parametrize("name", SHARING)
@pytest.mark.parametrize("criterion", ["snip", "grasp", "synflow"])
@pytest.mark.parametrize("apply", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_shared_parts_stay_what_they_are(
    name: str, criterion: str, apply: bool, training: bool
) -> None:
    torch.manual_seed(0)
    module, (x, y) = SHARING[name](), data()
    module(x)  # running averages that are not those of the start
    module.train(training)
    before, attributes = state(module), {p: set(vars(p)) for p in module.modules()}
    pruned = prune_module(module, criterion, 0.5, x, y, rounds=3, apply=apply)
    after = state(module)
    for place, (held, numbers) in before.items():
        if place.endswith(".weight") and apply and place[:-7] in pruned.masks:
            assert after[place + "_orig"][0] is held
        else:
            assert after[place][0] is held
        assert torch.equal(held, numbers)
        assert not isinstance(held, nn.Parameter) or (held.is_leaf and held.requires_grad)
    assert apply or {p: set(vars(p)) for p in module.modules()} == attributes
    size = sum(mask.numel() for mask in pruned.masks.values())
    assert sum(int(mask.sum()) for mask in pruned.masks.values()) == kept_count(0.5, size)
    module(x).sum().backward()
    twice = prune_module(module, criterion, 0.3, x, y, rounds=3, apply=apply)
    assert all(
        not bool((twice.masks[k] & ~pruned.masks[k]).any()) or not apply for k in pruned.masks
    )


def test_the_derivative_of_a_layer_with_two_names_is_the_sum_over_its_uses() -> None:
    torch.manual_seed(0)
    module, (x, y) = Twice(), data()
    nn.functional.cross_entropy(module(x), y).backward()
    expected = (module.a.weight.grad * module.a.weight).abs()
    (a, o), unit = module_scores(Differentiable(module), "snip", x, y)
    assert unit == 1.0
    torch.testing.assert_close(a, expected.detach())
    torch.testing.assert_close(o, (module.o.weight.grad * module.o.weight).abs().detach())


@pytest.mark.parametrize("criterion", DEEP_CRITERIA)
def test_weights_that_another_part_has_too(criterion: str) -> None:
    torch.manual_seed(0)
    module, rng = Tied(), torch.Generator().manual_seed(0)
    x, y = (torch.randint(0, 6, (12,), generator=rng) for _ in range(2))
    options = {"rounds": 2, "input_shape": (1,)}
    with pytest.raises(ValueError, match=r"not tie .* layer 'o' are 'e\.weight' too"):
        prune_module(module, criterion, 0.5, x, y, **options)
    assert not torch_prune.is_pruned(module)
    if criterion != "synflow":  # an embedding has no path sums
        pruned = prune_module(module, criterion, 0.5, x, y, keep=("o",))
        assert list(pruned.masks) == ["h"]
        assert pruned.connected is None
    assert module.o.weight is module.e.weight


def test_the_derivative_of_tied_weights_is_the_sum_too() -> None:
    torch.manual_seed(0)
    module, x, y = Tied(), torch.arange(6), torch.arange(6).flip(0)
    nn.functional.cross_entropy(module(x), y).backward()
    (_, o), _ = module_scores(Differentiable(module), "snip", x, y)
    torch.testing.assert_close(o, (module.e.weight.grad * module.e.weight).abs().detach())


# --------------------------------------------------------------------------- weights computed


NORMS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "weight": nn.utils.parametrizations.weight_norm,
    "spectral": nn.utils.parametrizations.spectral_norm,
    "old weight": nn.utils.weight_norm,
    "old spectral": nn.utils.spectral_norm,
}


def normed(name: str, part: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old ones are deprecated
        return NORMS[name](part)


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("criterion", DEEP_CRITERIA)
def test_computed_weights_are_refused(name: str, criterion: str) -> None:
    x, y = data()
    module = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), normed(name, nn.Linear(8, 3)))
    with pytest.raises(ValueError, match="layer '2' computes them"):
        prune_module(module, criterion, 0.5, x, y, rounds=2)
    assert not any("mask" in key for key in module.state_dict())


@pytest.mark.parametrize("name", NORMS)
def test_parts_that_are_not_pruned_may_compute_theirs(name: str) -> None:
    x, y = data()
    module = nn.Sequential(nn.Linear(6, 6), Weighted())
    normed(name, module[1])
    module(x)
    held = None if "weight" in module[1]._parameters else vars(module[1]).get("weight")
    for criterion in ("snip", "grasp", "synflow"):
        prune_module(module, criterion, 0.5, x, y, rounds=2, apply=False)
        assert held is None or vars(module[1])["weight"] is held


class Weighted(nn.Module):
    """A product with a weight, but no layer that is pruned."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 6))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T


# ---------------------------------------------------------------------------- nothing is silent


class Frozen(nn.Module):
    """Layers within ``torch.no_grad``: the first, or all."""

    def __init__(self, everything: bool) -> None:
        super().__init__()
        self.a, self.b, self.o = nn.Linear(6, 20), nn.Linear(20, 20), nn.Linear(20, 3)
        self.everything = everything

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            h = torch.relu(self.a(x))
        with torch.set_grad_enabled(not self.everything):
            return self.o(torch.relu(self.b(h)))


def test_synflow_says_where_it_cuts_at_random() -> None:
    net = MLP((6, 20, 20, 3), "relu", seed=0)
    net.weights[1][:15] = 0.0
    module = nn.Sequential()
    for W, scale in zip(net.weights, net.scales, strict=True):
        linear = nn.Linear(W.shape[1], W.shape[0], bias=False, dtype=W.dtype)
        linear.weight.data = W * scale
        module.extend([linear, nn.ReLU()])
    ours = prune(net, "synflow", 0.6, rounds=3)
    theirs = prune_module(module[:-1], "synflow", 0.6, input_shape=(6,), rounds=3)
    assert ours.notes == theirs.notes
    assert theirs.notes == ("from round 1 edges without flow are kept, at random",)
    told = prune_module(Frozen(False), "synflow", 0.9, input_shape=(6,), rounds=3)
    assert "from round 1 edges without flow are kept, at random" in told.notes
    assert told.connected is None
    for criterion in ("snip", "grasp", "synflow"):
        with pytest.raises(ValueError, match="module must be differentiable"):
            prune_module(Frozen(True), criterion, 0.5, *data(), rounds=2)


def test_inference_mode_is_refused() -> None:
    module = Twice()
    with torch.inference_mode(), pytest.raises(ValueError, match=r"outside torch\.inference_mode"):
        prune_module(module, "synflow", 0.5, input_shape=(6,))
    assert not torch_prune.is_pruned(module)


def test_paths_too_weak_for_a_float_are_no_missing_paths() -> None:
    module = nn.Sequential()
    for _ in range(60):
        module.extend([nn.Linear(50, 50, bias=False), nn.ReLU()])
    with torch.no_grad():
        for part in module[::2]:
            part.weight *= 1e-6
    with pytest.raises(ValueError, match="sum of absolute paths that float64 can hold"):
        prune_module(module, "synflow", 0.5, input_shape=(50,), rounds=3)
    assert not torch_prune.is_pruned(module)
    assert prune_module(module, "magnitude", 0.5, input_shape=(50,)).connected is True


def test_dropout_draws_from_the_seed_and_from_nothing_else() -> None:
    torch.manual_seed(3)
    module = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Dropout(0.5), nn.Linear(10, 3)).train()
    x, y = data()
    for criterion in ("snip", "grasp"):
        numbers = torch.get_rng_state()
        one = prune_module(module, criterion, 0.5, x, y, apply=False)
        assert torch.equal(torch.get_rng_state(), numbers)
        torch.rand(7)
        again = prune_module(module, criterion, 0.5, x, y, apply=False)
        other = prune_module(module, criterion, 0.5, x, y, apply=False, seed=1)
        assert all(torch.equal(one.masks[k], again.masks[k]) for k in one.masks)
        assert not all(torch.equal(one.masks[k], other.masks[k]) for k in one.masks)


def test_data_are_not_written_to() -> None:
    x, y = data()
    before = x.clone()
    module = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 3))
    for criterion in ("snip", "grasp", "synflow"):
        prune_module(module, criterion, 0.5, x, y, rounds=2, apply=False)
    assert torch.equal(x, before)


# ----------------------------------------------------------------------------- what became of it


def kept(layer: nn.Module, gone: list[int], density: float) -> PrunedModule:
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.weight[gone] = 1e-9
    return prune_module(layer, "magnitude", density)


def test_units_of_grouped_convolutions() -> None:
    for layer in (nn.Conv2d(4, 4, 3, groups=4), nn.ConvTranspose2d(4, 4, 3, groups=4)):
        found = kept(layer, [1], 0.75)
        assert (found.no_incoming, found.no_outgoing) == ({"": 1}, {"": 1})
    found = kept(nn.Conv1d(6, 4, 3, groups=2), [0, 1], 0.5)  # the first half of both sides
    assert (found.no_incoming, found.no_outgoing) == ({"": 2}, {"": 3})
    found = kept(nn.ConvTranspose1d(6, 4, 3, groups=2), [0, 1, 2], 0.5)
    assert (found.no_incoming, found.no_outgoing) == ({"": 2}, {"": 3})
    found = kept(nn.Conv1d(6, 4, 3, groups=2), [0], 0.75)
    assert (found.no_incoming, found.no_outgoing) == ({"": 1}, {"": 0})


ACTIVATIONS = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.Identity)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", [False, True])
def test_a_module_cut_in_two_without_an_empty_layer(
    activation: type[nn.Module], bias: bool
) -> None:
    module = nn.Sequential(nn.Linear(4, 2, bias=bias), activation(), nn.Linear(2, 2, bias=bias))
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[9.0] * 4, [0.1] * 4]))
        module[2].weight.copy_(torch.tensor([[0.1, 9.0], [0.1, 9.0]]))
    cut = prune_module(module, "magnitude", 0.5, input_shape=(4,), apply=False)
    assert cut.severed == ()
    assert cut.connected is False
    assert cut.notes == ("no path leads from the inputs to the outputs",)
    whole = prune_module(module, "magnitude", 0.75, input_shape=(4,), apply=False)
    assert whole.connected is True
    assert whole.notes == ()
    assert prune_module(module, "magnitude", 0.5).connected is None


def test_connections_of_modules_with_more_than_chains() -> None:
    torch.manual_seed(0)
    x, y = data()
    normal = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3), nn.LayerNorm(3))
    assert prune_module(normal, "snip", 0.5, x, y, apply=False).connected is None
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16, 3),
    )  # fmt: skip
    pictures = torch.randn(8, 2, 6, 6)
    module(pictures)
    assert prune_module(module, "snip", 0.5, pictures, y[:8], apply=False).connected is True
    with torch.no_grad():
        module[5].weight[:, 4:] = 1e-9  # all but the first channel lead nowhere
        module[0].weight[0] = 1e-9
    gone = prune_module(module, "magnitude", 0.25, pictures, scope="layer", apply=False)
    assert gone.severed == ()
    assert gone.connected is False
