"""PyTorch modules: the same masks as the closed forms, any layers, nothing else touched."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from numerics.initialisation import initialised
from numerics.mlp import MLP
from numerics.mlp_masks import graphon_masks
from numerics.module_pruning import prune_module
from numerics.module_scores import Differentiable, module_scores, prunable_layers
from numerics.pruning import DEEP_CRITERIA, prune
from numerics.ranking import kept_count

WIDTHS = (6, 20, 15, 10, 4)
NAMES = ("0", "2", "4", "6")


def data(n: int = 12) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(1)
    return torch.from_numpy(rng.standard_normal((n, 6))), torch.from_numpy(rng.integers(4, size=n))


def twin(net: MLP) -> nn.Sequential:
    """The network as a module that stores its weights with their scale."""
    parts: list[nn.Module] = []
    for W, s, b, beta in zip(net.weights, net.scales, net.biases, net.bias_scales, strict=True):
        linear = nn.Linear(W.shape[1], W.shape[0], bias=b is not None, dtype=W.dtype)
        linear.weight.data = W * s
        if b is not None:
            linear.bias.data = beta * b
        parts += [linear, nn.ReLU()]
    module = nn.Sequential(*parts[:-1])
    for name, mask in zip(NAMES, net.masks, strict=True):
        if mask is not None:
            torch_prune.custom_from_mask(module.get_submodule(name), "weight", mask)
    return module


class Convolutions(nn.Module):
    """Everything a chain of linear layers has not: batch norm, dropout, a skip, several axes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 5, 3, padding=1)
        self.norm = nn.BatchNorm2d(5)
        self.second = nn.Conv2d(5, 5, 3, padding=1, bias=False)
        self.up = nn.ConvTranspose2d(5, 3, 2, stride=2)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(3 * 64, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm(self.first(x)))
        h = torch.relu(h + self.second(h))
        return self.head(self.drop(torch.relu(self.up(h)).flatten(1)))


def images() -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(2)
    x = torch.from_numpy(rng.standard_normal((7, 2, 4, 4))).float()
    return x, torch.from_numpy(rng.integers(3, size=7))


@pytest.mark.parametrize("criterion", DEEP_CRITERIA)
@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("masked", [False, True])
def test_a_chain_gets_the_masks_of_the_closed_forms(
    criterion: str, scope: str, masked: bool
) -> None:
    net = initialised(WIDTHS, "relu", "pytorch", seed=3, bias=True)
    if masked:
        net = net.pruned([None, *graphon_masks(0.6, WIDTHS, count="exact")[1:]])
    x, y = data()
    options = {"scope": scope, "rounds": 6}
    if criterion.startswith("grasp"):
        options["temperature"] = 3.0
    ours = prune(net, criterion, 0.3, x, y, keep=(4,), **options)
    module = twin(net)
    theirs = prune_module(module, criterion, 0.3, x, y, keep=("6",), **options)
    for name, mask, density, threshold in zip(
        NAMES[:3], ours.masks, ours.densities, ours.thresholds, strict=False
    ):
        assert torch.equal(theirs.masks[name], mask)
        assert theirs.densities[name] == density
        assert theirs.thresholds[name] == pytest.approx(threshold, rel=1e-9)
        stored = module.get_submodule(name)
        assert torch.equal(stored.weight_mask.bool(), mask)
    assert "6" not in theirs.masks
    assert (theirs.achieved, theirs.severed) == (ours.achieved, ours.severed)
    assert theirs.connected is ours.connected
    torch.testing.assert_close(module(x), ours.apply(net)(x))


@pytest.mark.parametrize("criterion", DEEP_CRITERIA)
@pytest.mark.parametrize("training", [False, True])
def test_any_module_and_nothing_else_is_touched(criterion: str, training: bool) -> None:
    torch.manual_seed(0)
    module, (x, y) = Convolutions().train(training), images()
    before = copy.deepcopy(module.state_dict())
    pruned = prune_module(module, criterion, 0.3, x, y, rounds=4, apply=False)
    assert module.training is training
    assert all(part.training is training for part in module.modules())
    after = module.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(p.grad is None for p in module.parameters())
    sizes = {name: part.weight.numel() for name, part in prunable_layers(module).items()}
    assert list(sizes) == ["first", "second", "up", "head"]
    kept = {name: int(mask.sum()) for name, mask in pruned.masks.items()}
    assert sum(kept.values()) == kept_count(0.3, sum(sizes.values()))
    assert pruned.densities == {name: kept[name] / sizes[name] for name in sizes}
    pruned.apply(module)
    for name, mask in pruned.masks.items():
        weight = module.get_submodule(name).weight
        assert torch.equal(weight != 0, mask)
    flat = pruned.masks["up"].flatten(2).any(dim=2)  # a transposed convolution: sources first
    assert pruned.no_outgoing["up"] == int((~flat.any(dim=1)).sum())
    assert pruned.no_incoming["up"] == int((~flat.any(dim=0)).sum())


def test_scores_of_a_convolution_against_differences() -> None:
    """SNIP by finite differences of the loss, and GraSP by those of the gradient's norm."""
    torch.manual_seed(0)
    module, (x, y) = Convolutions().eval().double(), images()
    x = x.double()
    weights = [part.weight for part in prunable_layers(module).values()]

    def loss() -> Tensor:
        return nn.functional.cross_entropy(module(x), y)

    def flow() -> float:
        return sum(float(g.square().sum()) for g in torch.autograd.grad(loss(), weights))

    net = Differentiable(module)
    snip, grasp = (
        [each * unit for each in found]
        for found, unit in (
            module_scores(net, name, x, y, loss=nn.CrossEntropyLoss())
            for name in ("snip", "grasp-signed")
        )
    )
    step = 1e-6
    for W, first, second, place in zip(
        weights, snip, grasp, ((1, 0, 2, 1), (3, 2, 0, 0), (1, 1, 1, 0), (2, 17)), strict=True
    ):
        value = float(W.detach()[place])
        found = []
        for sign in (1, -1):
            W.data[place] = value * (1 + sign * step)
            found.append((float(loss().detach()), flow()))
        W.data[place] = value
        differences = [(a - b) / (2 * step) for a, b in zip(*found, strict=True)]
        assert float(first[place]) == pytest.approx(abs(differences[0]), rel=1e-5, abs=1e-9)
        assert float(second[place]) == pytest.approx(differences[1] / 2, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("criterion", ["snip", "grasp-signed"])
def test_masks_do_not_depend_on_batches(criterion: str) -> None:
    module, (x, y) = twin(initialised(WIDTHS, seed=3)), data()
    whole = prune_module(module, criterion, 0.3, x, y, apply=False)
    for options in ({"x": x, "y": y, "batch_size": 5}, {"x": [(x[:4], y[:4]), (x[4:], y[4:])]}):
        parts = prune_module(module, criterion, 0.3, apply=False, **options)
        assert all(torch.equal(whole.masks[name], parts.masks[name]) for name in NAMES)
    own = prune_module(module, criterion, 0.3, x, y, loss=nn.CrossEntropyLoss(), apply=False)
    assert all(torch.equal(whole.masks[name], own.masks[name]) for name in NAMES)


def test_a_module_may_be_a_single_layer() -> None:
    layer, (x, y) = nn.Linear(6, 4, dtype=torch.float64), data()
    pruned = prune_module(layer, "snip", 0.5, x, y)
    assert list(pruned.masks) == [""]
    assert int(layer.weight_mask.sum()) == 12


def test_pruning_twice_and_making_it_permanent() -> None:
    module, (x, y) = twin(initialised(WIDTHS, seed=3)), data()
    first = prune_module(module, "snip", 0.5, x, y)
    held = module[2].weight
    second = prune_module(module, "synflow", 0.3, x, rounds=3)
    assert module[2].weight is not held
    for name in NAMES:
        assert not bool((second.masks[name] & ~first.masks[name]).any())
        torch_prune.remove(module.get_submodule(name), "weight")
        assert torch.equal(module.get_submodule(name).weight != 0, second.masks[name])
    with pytest.raises(ValueError, match=r"density must be at most 0\.5"):
        prune_module(first.apply(twin(initialised(WIDTHS, seed=3))), "magnitude", 0.6)


def test_notes() -> None:
    module, (x, y) = twin(initialised(WIDTHS, seed=3)), data()
    assert prune_module(module, "snip", 0.4, x, y, apply=False).notes == ()
    x[:, 0] = 0.0
    one_class = prune_module(module, "snip", 0.4, x, y * 0, apply=False)
    assert any("labels" in note for note in one_class.notes)
    assert any("1 of 6 inputs" in note for note in one_class.notes)
    assert any("by lot" in n for n in prune_module(module, "snip", 1.0, x, y, apply=False).notes)
    module[2].weight.data *= 1e-9
    severed = prune_module(module, "magnitude", 0.2, apply=False)
    assert severed.severed == ("2",)
    assert "layer '2' lost all its weights" in severed.notes
    assert (severed.no_incoming["2"], severed.no_outgoing["2"]) == (15, 20)
    bent = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
    said = prune_module(bent, "synflow", 0.5, x, rounds=2, apply=False).notes
    assert any("not positively homogeneous" in note for note in said)


@pytest.mark.parametrize(
    ("module", "error", "named"),
    [
        ("module", TypeError, "module must be a torch.nn.Module"),
        (nn.ReLU(), ValueError, "none to prune"),
        (nn.Sequential(nn.LazyLinear(3)), ValueError, "no weights yet"),
        (nn.Linear(3, 2).half(), ValueError, "float32 or float64"),
    ],
)
def test_modules_that_cannot_be_pruned(module: nn.Module, error: type, named: str) -> None:
    with pytest.raises(error, match=named):
        prune_module(module, "magnitude", 0.5)


def test_shared_weights_are_refused() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    module[1].weight = module[0].weight
    with pytest.raises(ValueError, match="share weights; '0' and '1'"):
        prune_module(module, "magnitude", 0.5)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"criterion": "snap"}, "criterion"),
        ({"density": 0.0}, "density"),
        ({"scope": "neuron"}, "scope"),
        ({"keep": ("1",)}, "keep must hold names among 0, 2, 4, 6"),
        ({"keep": NAMES}, "keep must leave"),
        ({"x": None, "y": None}, "needs data"),
        ({"loss": "hinge"}, "loss"),
        ({"loss": 3}, "loss must be"),
        ({"temperature": 2.0}, "temperature"),
        ({"criterion": "grasp-signed", "temperature": -1.0}, "temperature"),
        ({"criterion": "synflow", "x": None, "y": None}, "input_shape"),
        ({"criterion": "synflow", "rounds": 0}, "rounds"),
        ({"criterion": "synflow", "schedule": "steps"}, "schedule"),
    ],
)
def test_bad_options(options: dict[str, object], named: str) -> None:
    x, y = data()
    given = {"criterion": "snip", "density": 0.5, "x": x, "y": y} | options
    with pytest.raises(ValueError, match=named):
        prune_module(twin(initialised(WIDTHS)), **given)


def test_weights_that_are_not_finite() -> None:
    module = twin(initialised(WIDTHS))
    module[2].weight.data[0, 0] = torch.nan
    x, y = data()
    for criterion in DEEP_CRITERIA[1:]:
        with pytest.raises(ValueError, match="finite"):
            prune_module(module, criterion, 0.5, x, y)


# ------------------------------------------------------------------- what users bring along


class Pair(nn.Linear):
    """Gives two things."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x), x  # type: ignore[return-value]


@pytest.mark.parametrize("criterion", ["snip", "grasp-signed"])
def test_modules_and_losses_that_will_not_do(criterion: str) -> None:
    x, y = data()
    module = nn.Linear(6, 4, dtype=torch.float64)
    for inputs in (x.float(), x[:, :3]):
        with pytest.raises(ValueError, match=r"module must take inputs of shape \(12, \d\)"):
            prune_module(module, criterion, 0.3, inputs, y)
    with pytest.raises(ValueError, match="module must give a tensor, got tuple"):
        prune_module(Pair(6, 4, dtype=torch.float64), criterion, 0.3, x, y)
    for loss in (nn.CrossEntropyLoss(reduction="none"), lambda f, y: 1.0):
        with pytest.raises(ValueError, match="loss must give one number"):
            prune_module(module, criterion, 0.3, x, y, loss=loss)
    assert not torch_prune.is_pruned(module)


def test_gradients_may_be_switched_off_outside() -> None:
    x, y = data()
    module = twin(initialised(WIDTHS, "relu", "kaiming", seed=3))
    for criterion in ("snip", "grasp-signed", "synflow"):
        plain = prune_module(module, criterion, 0.3, x, y, apply=False)
        with torch.no_grad():
            quiet = prune_module(module, criterion, 0.3, x, y, apply=False)
        assert all(torch.equal(plain.masks[k], quiet.masks[k]) for k in NAMES)


def test_masks_are_applied_to_all_layers_or_none() -> None:
    found = prune_module(twin(MLP(WIDTHS, "relu")), "random", 0.3, apply=False)
    other = twin(MLP((6, 20, 15, 10, 5), "relu"))
    with pytest.raises(ValueError, match=r"module must have a layer '6' with weights of shape"):
        found.apply(other)
    assert not torch_prune.is_pruned(other)
    with pytest.raises(ValueError, match="module must have a layer '0'"):
        found.apply(nn.Linear(6, 20))


def test_a_module_that_flow_leaves_is_noted() -> None:
    module = twin(MLP((6, 20, 15, 10, 4), "relu", seed=1))
    once = prune_module(module, "synflow", 0.005, rounds=1, input_shape=(6,), apply=False)
    assert once.severed
    assert once.connected is False
    assert once.notes[-1] == "no path leads from the inputs to the outputs"
    whole = prune_module(module, "synflow", 1.0, input_shape=(6,), apply=False)
    assert whole.connected is True
    assert set(whole.thresholds.values()) == {None}
    for shape in (6, (-6,), (6.0,)):
        with pytest.raises(ValueError, match="input_shape must hold positive integers"):
            prune_module(module, "synflow", 0.5, input_shape=shape)  # type: ignore[arg-type]
