"""The tree of layers as a torch module: everything can be built, and what cannot names its layer."""

import resource
import time

import pytest
import torch
from torch import nn

from mlptui.core.architecture.layers import LAYERS
from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.tree import SEQUENTIAL, Layer
from mlptui.core.architecture.tree import parameter_count as tree_count
from mlptui.engine.build import BuildError, build, check_fits, parameter_count, probe

PLAUSIBLE = {
    "output_size": 4, "kernel_size": 2, "num_features": 4, "groups": 2, "padding": 1, "value": 0.5, "in_channels": 4,
    "out_channels": 4, "size": 3, "num_embeddings": 10, "embedding_dim": 4, "num_groups": 2, "num_channels": 4,
    "norm_type": 2, "input_size": 4, "hidden_size": 4, "normalized_shape": 4, "in_features": 4, "out_features": 4,
    "upscale_factor": 2, "downscale_factor": 2, "threshold": 0.1, "d_model": 8, "nhead": 2, "dim": 1,
    "unflattened_size": (2, 2),
}  # fmt: skip
ONE_OF = {
    "FractionalMaxPool2d": {"output_size": 2},
    "FractionalMaxPool3d": {"output_size": 2},
    "Upsample": {"scale_factor": 2},
}
PICTURES = torch.zeros(2, 1, 4, 4)
lazy = pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")


def within(kind: str, **arguments: object) -> Layer:
    """The layer as child `2` of a network, so that an error has a path to name."""
    layer = Layer(kind, tuple(arguments.items()))
    return Layer(SEQUENTIAL, (), (("0", Layer("Flatten")), ("1", Layer("Identity")), ("2", layer)))


def plausible(kind: str) -> dict[str, object]:
    needed = [row[0] for row in LAYERS[kind] if len(row) == 1]
    return {str(name): PLAUSIBLE[str(name)] for name in needed} | ONE_OF.get(kind, {})


@lazy
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("kind", LAYERS)
def test_every_known_layer_is_built_from_its_required_arguments(kind: str) -> None:
    made = build(within(kind, **plausible(kind))).get_submodule("2")

    assert type(made) is getattr(nn, kind)


@lazy
@pytest.mark.parametrize("kind", LAYERS)
def test_every_known_layer_takes_all_its_declared_arguments_or_names_itself(kind: str) -> None:
    given = {str(row[0]): row[1] for row in LAYERS[kind] if len(row) == 2} | plausible(kind)
    try:
        made = build(within(kind, **given)).get_submodule("2")
    except BuildError as error:
        assert str(error).startswith(f"layer 2, {kind}(")
    else:
        assert type(made) is getattr(nn, kind)


@lazy
@pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind != "Identity"])  # which takes anything
def test_an_argument_that_torch_does_not_know_is_an_error_of_that_layer(kind: str) -> None:
    with pytest.raises(BuildError, match=rf"^layer 2, {kind}\(.*surprise"):
        build(within(kind, **plausible(kind), surprise=1))


@pytest.mark.parametrize(
    "text",
    [
        "nn.GroupNorm(0, 4)",
        "nn.TransformerEncoderLayer(8, 3)",
        "nn.Embedding(10, 3, padding_idx=11)",
        "nn.Linear(-1, 4)",
        "nn.Conv2d(1, 1, 3, groups=0)",
        "nn.Dropout(7)",
        "nn.PixelShuffle(2, 3, 4)",
        "nn.FractionalMaxPool2d(2)",
        "nn.Softplus(beta='x')",
        "nn.LSTM(4, 0)",
    ],
)
def test_arguments_that_torch_refuses_are_a_sentence_with_the_layer(text: str) -> None:
    try:
        tree = parse(f"nn.Sequential(nn.Flatten(), nn.Sequential({text}))")
    except Exception as error:
        assert "line 1" in str(error)
        return
    try:
        model = build(tree)
    except BuildError as error:
        assert str(error).startswith("layer 1.0, ")
    else:
        with pytest.raises(BuildError, match=r"^layer 1\.0, "):
            probe(model, PICTURES, 16)


def test_a_layer_that_is_named_twice_is_one_object() -> None:
    model = build(
        parse(
            "shared = nn.Linear(8, 8)\n"
            "nn.Sequential(nn.Linear(4, 8), nn.ReLU(), shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(8, 1))"
        )
    )
    assert isinstance(model, nn.Sequential)
    assert model[2] is model[4]
    assert parameter_count(model) == 5 * 8 + 9 * 8 + 9


@pytest.mark.parametrize(
    "text",
    [
        "net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))\nnet[1].weight = net[0].weight",
        "net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.BatchNorm1d(4))\n"
        "net[1].weight = net[0].weight\nnet[2].weight = net[1].weight\nnet[2].bias = net[0].bias\n"
        "net[3].bias = net[2].bias",
        "shared = nn.Linear(4, 4)\n"
        "net = nn.Sequential(shared, nn.Linear(4, 4), shared, nn.Conv2d(1, 4, 3, bias=False))\nnet[1].weight = net[0].weight",
    ],
)
def test_the_text_alone_says_how_many_parameters_a_network_with_ties_has(text: str) -> None:
    tree = parse(text)
    assert tree.ties and tree_count(tree) == parameter_count(build(tree))


def test_repeated_text_is_not_tied() -> None:
    model = build(parse("nn.Sequential(*[nn.Linear(4, 4) for _ in range(3)])"))

    assert len({id(module) for module in model.children()}) == 3


@lazy
def test_lazy_layers_get_their_shapes_from_the_first_pictures_and_nothing_else_moves() -> None:
    model = build(parse("nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(10))"))

    probe(model, torch.ones(2, 1, 4, 4), 10)

    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == {
        "1.weight": (8, 16), "1.bias": (8,), "2.weight": (8,), "2.bias": (8,), "4.weight": (10, 8), "4.bias": (10,),
    }  # fmt: skip
    assert model.training
    assert model.get_buffer("2.running_mean").eq(0).all()
    assert model.get_buffer("2.num_batches_tracked") == 0


@pytest.mark.parametrize(
    ("text", "layer", "shape"),
    [
        ("nn.Sequential(nn.Flatten(), nn.Linear(100, 10))", "layer 1, Linear(in_features=100", "got [2, 16]"),
        ("nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(16, 8), nn.Linear(9, 10)))", "layer 1.1, Linear", "got [2, 8]"),
        ("nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())", "layer 0, Conv2d(3, 4", "got [2, 1, 4, 4]"),
        ("nn.Sequential(nn.Flatten(), nn.BatchNorm1d(7))", "layer 1, BatchNorm1d", "got [2, 16]"),
        ("nn.Linear(16, 10)", "layer network, Linear", "got [2, 1, 4, 4]"),
    ],
)
def test_a_wrong_shape_is_named_with_layer_and_shape(text: str, layer: str, shape: str) -> None:
    model = build(parse(text))

    with pytest.raises(BuildError) as raised:
        probe(model, PICTURES, 10)

    assert layer in str(raised.value)
    assert shape in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_network_that_fits_its_input_but_not_the_classes_is_refused() -> None:
    model = build(parse("nn.Sequential(nn.Flatten(), nn.Linear(16, 7))"))

    with pytest.raises(BuildError, match=r"gives \[2, 7\] for 2 samples; 10 classes need \[2, 10\]"):
        probe(model, PICTURES, 10)


def test_a_network_whose_output_is_no_tensor_is_refused() -> None:
    model = build(parse("nn.Sequential(nn.Flatten(), nn.LSTM(16, 10))"))

    with pytest.raises(BuildError, match="gives a tuple"):
        probe(model, PICTURES, 10)


def test_probing_leaves_no_hooks_and_keeps_the_mode() -> None:
    model = build(parse("nn.Sequential(nn.Flatten(), nn.Linear(16, 10))")).eval()

    probe(model, PICTURES, 10)

    assert not model.training
    assert all(not module._forward_pre_hooks for module in model.modules())


@lazy
@pytest.mark.parametrize(
    "text",
    [
        "nn.Linear(1000000, 1000000)",
        "nn.Linear(2147483647, 2147483647)",
        "nn.Sequential(*[nn.Linear(50000, 50000) for _ in range(100)])",
        "nn.Sequential(nn.Flatten(), nn.LazyLinear(40000000), nn.LazyLinear(10))",
    ],
)
def test_a_huge_network_is_refused_without_allocating_it(text: str) -> None:
    tree = parse(text)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()

    with pytest.raises(BuildError):
        check_fits(tree, 1 << 30, (2, 1, 4, 4))

    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    )  # kB; torch's code for meta tensors takes 110,000
    assert time.monotonic() - started < 5


@lazy
def test_a_network_that_fits_is_not_refused_and_unknown_memory_refuses_nothing() -> None:
    small = parse("nn.Sequential(nn.Flatten(), nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.Linear(8, 10))")

    check_fits(small, 1 << 20, (2, 1, 4, 4))
    check_fits(parse("nn.Linear(100000, 100000)"), None, (2, 1, 4, 4))


def test_the_same_seed_builds_the_same_weights() -> None:
    tree = parse("nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))")
    torch.manual_seed(3)
    one = build(tree).state_dict()
    torch.manual_seed(3)
    other = build(tree).state_dict()

    assert all(torch.equal(one[name], other[name]) for name in one)
