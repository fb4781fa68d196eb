"""The path console on real networks: each tensor by each name, lines beside Python's own, nothing is ever changed."""

import copy
import functools
import time
import warnings
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from core.test_parameter_console import GOOD, LANGUAGE, PATHS, WORDS
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.parameter import is_lazy

from mlptui.core.architecture.parse import parse
from mlptui.core.architecture.zoo import ZOO
from mlptui.core.parameters.console import ConsoleError
from mlptui.engine.build import build
from mlptui.engine.inspect.places import spots
from mlptui.engine.parameters import evaluate as module
from mlptui.engine.parameters import shown
from mlptui.engine.parameters.evaluate import METHODS, Drawn, Evaluator, Flagged, Forgotten, Shown, Tied, Written, evaluate
from mlptui.engine.parameters.tensors import tensors

pytestmark = pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
bounded = settings(derandomize=True, deadline=None, max_examples=120, database=None)
SOON = 0.2  # seconds of processor time


@pytest.fixture(autouse=True)
def one_thread(torch_as_it_was: None) -> None:
    """These networks are small; threads only wait for each other."""
    torch.set_num_threads(1)


@functools.cache
def zoo(name: str) -> nn.Module:
    """One for all tests: to look must not change it."""
    return made(ZOO[name].text)


def made(text: str) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(3)
        return build(parse(text))


def state(model: nn.Module) -> list[tuple[object, ...]]:
    """All that looking might change; a write in place would change the version, too."""
    found: list[tuple[object, ...]] = [(id(spot.module), spot.place, spot.module.training) for spot in spots(model)]
    for path, named in tensors(model).items():
        tensor = named.tensor
        if is_lazy(tensor):
            found.append((path, id(tensor), type(tensor), tensor.requires_grad))
            continue
        held = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        gradient = tensor.grad.numpy().tobytes() if tensor.is_leaf and tensor.grad is not None else None
        found.append(
            (path, id(tensor), tensor.data_ptr(), tensor._version, tensor.requires_grad, tuple(tensor.shape), held, gradient)
        )
    return found


def refused(model: nn.Module, text: str) -> str:
    with pytest.raises(ConsoleError) as caught:
        evaluate(model, text)
    said = str(caught.value)
    assert said and said.isprintable() and len(said) < 1000, said
    return said


def taken(model: nn.Module, text: str) -> float:
    """Seconds of a refusal; the first one may load parts of torch, or collect what others left."""
    began = time.process_time()
    refused(model, text)
    return time.process_time() - began


def same(one: Any, other: Any) -> bool:
    """Value by value, tensors by type, shape and bits; tuples and lists are one kind, so are dictionaries."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        if is_lazy(one) or is_lazy(other):
            return one is other
        return (
            one.dtype == other.dtype
            and one.shape == other.shape
            and torch.equal(one.isnan(), other.isnan())
            and torch.equal(one.detach().nan_to_num(), other.detach().nan_to_num())
        )
    if isinstance(one, torch.Tensor) or isinstance(other, torch.Tensor):
        return False
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return type(one) is type(other) and bool(one == other)


def python(model: nn.Module, text: str, name: str = "net") -> Any:
    with torch.no_grad():
        found = eval(text, {"nn": nn, "torch": torch, "inf": float("inf"), name: model})
    return list(found) if type(found).__name__ == "generator" or "dict_" in type(found).__name__ else found


def value(model: nn.Module, text: str) -> Any:
    found = evaluate(model, text)
    assert isinstance(found, Shown), found
    said = shown.lines(found.value)
    assert len(said) <= shown.LINES + 1 and all(line.isprintable() and len(line) <= shown.WIDTH for line in said)
    return found.value


# each tensor by each name


@pytest.mark.parametrize("name", ZOO)
def test_every_tensor_of_the_zoo_is_reached_in_each_spelling(name: str) -> None:
    model, before = zoo(name), state(zoo(name))
    known, listed = tensors(model), model.state_dict(keep_vars=True)
    assert known
    for path, named in known.items():
        texts = [path, f" {path} ", f"net{named.spelled}", f"model{named.spelled}", f"({path})"]
        if named.spelled.startswith("["):
            texts += [named.spelled, f"rgnet{named.spelled}", named.spelled.replace('"', "'")]
        if path in listed:
            texts += [f'net.state_dict()["{path}"]', f"net.state_dict()['{path}']"]
            assert listed[path] is named.tensor
        if named.kind == "parameter" and not named.alias_of:
            index = [id(p) for p in model.parameters()].index(id(named.tensor))
            texts += [f"net.parameters()[{index}]", f"net.named_parameters()[{index}][1]"]
        for text in texts:
            found = evaluate(model, text)
            assert isinstance(found, Shown), text
            assert found.path == (named.alias_of or path), text
            if "state_dict" in text and not named.lazy:  # as in PyTorch: a tensor without a gradient
                assert type(found.value) is torch.Tensor and found.value.data_ptr() == named.tensor.data_ptr(), text
            else:
                assert found.value is named.tensor, text
            if not named.lazy:
                data = evaluate(model, f"{text}.data")
                assert isinstance(data, Shown) and isinstance(data.value, torch.Tensor)
                assert data.value.data_ptr() == named.tensor.data_ptr() and data.path == found.path
    assert state(model) == before


@pytest.mark.parametrize("name", ZOO)
def test_every_layer_of_the_zoo_is_reached_in_each_spelling(name: str) -> None:
    model = zoo(name)
    for path, named in tensors(model).items():
        where, spelled = path.rpartition(".")[0], named.spelled.rpartition(".")[0]
        for text in [f"net{spelled}", *([where] if where else [])]:
            found = evaluate(model, text)
            assert isinstance(found, Shown) and found.value is named.module and found.path == "", text
    assert value(model, "net") is model


@pytest.mark.parametrize("name", ZOO)
def test_the_spelling_by_links_is_what_python_takes(name: str) -> None:
    model = zoo(name)
    for path, named in tensors(model).items():
        if all(isinstance(s.module, nn.Sequential) or not s.module._modules or "[" not in named.spelled for s in spots(model)):
            if '"' in named.spelled:  # torch's Sequential takes no names
                continue
            assert python(model, f"net{named.spelled}") is named.tensor, path


@pytest.mark.parametrize(
    "child",
    ["block 1", "1", "7", "it's", 'a"b', "a-b", "0x", "1e5", "Linear", "len", "nn", "torch", "weight", "é", "_x",
     "__x", "a[0]", "net ", "x y z",
     "in", "class", "None", "net", "nan", "inf"],
)  # fmt: skip
def test_layers_with_any_name_are_reached_by_the_names_that_are_listed(child: str) -> None:
    model = nn.Sequential()
    model.add_module("first", nn.ReLU())
    model.add_module(child, nn.Linear(2, 3))
    for path, named in tensors(model).items():
        for text in (path, f"net{named.spelled}", f"{path}[0]"):
            found = evaluate(model, text)
            assert isinstance(found, Shown) and (text.endswith("]") or found.value is named.tensor), text


def test_a_network_that_is_one_layer_is_reached_by_its_tensors_names() -> None:
    model = nn.Linear(3, 2)
    for text in ("weight", "net.weight", "model.weight", "self.weight", 'net.state_dict()["weight"]'):
        found = evaluate(model, text)
        assert isinstance(found, Shown) and found.path == "weight"
        assert found.value is model.weight or ("state_dict" in text and type(found.value) is torch.Tensor)
    written = evaluate(model, "bias[0] = 7")
    assert isinstance(written, Written) and written.data[0] == 7 and model.bias[0] != 7


def test_a_tied_tensor_is_shown_under_its_first_name() -> None:
    model = zoo("tied")
    for text in ("4.weight", "net[4].weight", "2.weight"):
        assert evaluate(model, text) == Shown(model.get_parameter("2.weight"), "2.weight")
    assert value(model, "net[2].weight is net[4].weight") is True


@pytest.mark.parametrize(
    "text", ["net[1].weight.data *= 0.2", "net[1].weight.data[0, 0] = 0.0", "net[1].bias.fill_(0.2)", "net[1].bias + 0.2"]
)
def test_a_number_is_no_layer(text: str) -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)), nn.Linear(2, 2))
    assert isinstance(evaluate(model, text), Shown | Written)


class Holder(nn.Module):
    """Tensors at all the places where a person may leave them."""

    def __init__(self) -> None:
        super().__init__()
        self.stuff = [torch.ones(2), torch.zeros(3)]
        self.d = {"k": torch.ones(3)}
        self.plain = torch.arange(6.0).reshape(2, 3)
        self.register_buffer("z", torch.tensor([1 + 2j, 3 + 1j]))
        self.register_buffer("count", torch.tensor(3))
        self.register_buffer("hidden", torch.ones(2), persistent=False)
        self.register_parameter("none", None)
        self.small = nn.Parameter(torch.ones(2, dtype=torch.bfloat16))


@pytest.mark.parametrize("text", ["net.stuff[0]", "net.stuff[1]", "stuff[0]", 'net.d["k"]', "net.d['k']", "d['k']"])
def test_tensors_in_lists_of_a_layer_can_be_read(text: str) -> None:
    model = Holder()
    assert value(model, text) is python(model, text if text.startswith("net") else f"net.{text}")


@pytest.mark.parametrize(
    "text",
    ["net.plain", "net.plain[1]", "plain.sum()", "net.count", "net.count + 1", "net.hidden", "net.small",
     "net.small * 3", "net.small.sum()",
     "net.none", "net.none is None", "net.z.abs()", "net.z + 1", "net.z.sum()", "net.training", "net.count.item()"],
)  # fmt: skip
def test_all_kinds_of_tensors_are_computed_with_as_torch_does(text: str) -> None:
    model = Holder()
    assert same(value(model, text), python(model, text if text.startswith("net") else f"net.{text}"))


@pytest.mark.filterwarnings("ignore:Casting complex values")
@pytest.mark.parametrize("text", ["net.z.mean()", "net.z.std()", "net.z.var()"])
def test_statistics_of_complex_numbers_are_torchs(text: str) -> None:
    model = Holder()
    assert same(value(model, text), python(model, text))


# beside Python

RICH = (
    "nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5), nn.Embedding(7, 3), "
    "nn.Linear(5, 5))"
)


@functools.cache
def rich() -> nn.Module:
    model = made(RICH)
    x: torch.Tensor = model[0:4](torch.rand(2, 1, 4, 4))  # type: ignore[index]
    model[6](model[4](x)).sum().backward()  # type: ignore[index]
    return model


GUIDE = {
    "rgnet": ["rgnet[0][1][0].bias.data", "rgnet[0][1][0].bias", "rgnet"],
    "net": [
        "net[2].state_dict()", "type(net[2].bias)", "net[2].bias", "net[2].bias.data", "net[2].weight.grad == None",
        "net.state_dict()['2.bias'].data",
        "[(name, param.shape) for name, param in net[0].named_parameters()]",
        "[(name, param.shape) for name, param in net.named_parameters()]",
        "net[2].weight.data[0] == net[4].weight.data[0]", "net[0].weight[1]", "net[2].weight", "net.state_dict()",
    ],
}  # fmt: skip


@pytest.mark.parametrize("text", GUIDE["net"])
def test_snippets_of_the_guide_give_what_torch_gives(text: str) -> None:
    model = zoo("tied")
    before, wanted = state(model), python(model, text)
    for line in (text, f"print({text})") if not text.startswith("[") else (text, f"*{text}", f"print(*{text})"):
        found = value(model, line)
        if text.startswith("["):
            found = [(name, parameter.shape) for name, parameter in found]
        assert same(found, wanted), line
    assert state(model) == before


@pytest.mark.parametrize("text", GUIDE["rgnet"])
def test_snippets_of_the_guide_on_the_nested_network(text: str) -> None:
    assert same(value(zoo("nested"), text), python(zoo("nested"), text, "rgnet"))


LINES = [
    # slices
    "net[4].weight[0]", "net[4].weight[-1]", "net[4].weight[0, 0]", "net[4].weight[1:3]", "net[4].weight[:, ::2]",
    "net[4].weight[-2:, -3:-1]", "net[4].weight[..., None]",
    "net[4].weight[None]", "net[4].weight[...]", "net[4].weight[()]", "net[4].weight[[0, 2]]", "net[4].weight[[0, 2], [1, 3]]",
    "net[4].weight[:, [0, -1]]", "net[4].weight[5:]", "net[0].weight[0, 0, 1, 1]",
    "net[0].weight[:, 0, 0]", "net[4].weight[0:2][1][3:]", "net[4].bias[2:1]", "net[4].weight.T[0]",
    "net[4].weight.data[0][0]",
    # attributes
    "net[4].weight.shape", "net[4].weight.shape[0]", "net[4].weight.shape[-1]", "net[4].weight.dtype", "net[4].weight.device",
    "net[4].weight.requires_grad", "net[4].weight.ndim", "net[4].weight.T", "net[4].weight.mT",
    "net[4].weight.grad", "net[4].weight.grad[0]", "net[4].weight.grad.norm()", "net[4].weight.grad is None",
    "net[5].weight.grad is None", "net[4].weight.is_leaf", "net[4].weight.data.is_leaf", "net[4].weight.nbytes",
    "net[1].training", "net.training", "net[1].num_batches_tracked", "net[1].running_var", "type(net[1].running_var)",
    "type(net[4])", "type(net)", "type(net[4].weight.data)", "len(net)", "len(net[4].weight)",
    # methods
    "net[4].weight.abs()", "net[4].weight.abs().max().item()", "net[4].weight.mean()", "net[4].weight.mean(0)",
    "net[4].weight.mean(dim=1, keepdim=True)", "net[4].weight.sum(dim=(0, 1))", "net[0].weight.sum([1, 2, 3])",
    "net[4].weight.std()", "net[4].weight.std(unbiased=False)", "net[4].weight.var(dim=0)", "net[4].weight.norm()",
    "net[4].weight.norm(1)", "net[4].weight.norm(p=2, dim=1)", "net[4].weight.min()", "net[4].weight.max(0)[0]",
    "net[4].weight.max(0).values", "net[4].weight.max(dim=1).indices", "net[4].weight.argmax()", "net[4].weight.argmax(1)",
    "net[4].weight.amax((0, 1))", "net[4].bias.sort()", "net[4].bias.sort(descending=True)[1]", "net[4].bias.median()",
    "net[4].weight.median(0)", "net[4].bias.cumsum(0)", "net[4].bias.prod()", "net[4].bias.tolist()",
    "net[4].bias.tolist()[1]", "net[4].weight.numel()", "net[4].weight.dim()", "net[4].weight.size()", "net[4].weight.size(1)",
    "net[4].weight.reshape(-1)", "net[4].weight.reshape(4, 20)", "net[4].weight.view(80)[:5]", "net[4].weight.flatten()",
    "net[4].weight.t()", "net[4].weight.transpose(0, 1)", "net[0].weight.squeeze()", "net[4].bias.unsqueeze(0)",
    "net[6].weight.diagonal()", "net[6].weight.diagonal(offset=1)", "net[6].weight.trace()", "net[6].weight.tril()",
    "net[6].weight.triu(1)", "net[4].bias.diag()", "net[4].bias.flip(0)", "net[4].weight.clamp(-0.1, 0.1)",
    "net[4].weight.clamp(min=0)",
    "net[4].weight.round(decimals=1)", "net[4].weight.sign().unique()", "net[4].weight.isnan().any()",
    "net[4].weight.isfinite().all()", "net[4].weight.count_nonzero()", "net[4].weight.quantile(0.25)",
    "net[4].weight.double().sum()",
    "net[4].weight.exp().log()", "net[4].weight.square().mean().sqrt()", "net[4].weight.neg().floor().ceil()",
    "net[4].weight.tanh().sigmoid()", "net[4].weight.int()", "net[4].weight.long().float()",
    "net[4].weight.detach().clone().cpu()",
    "net[4].weight.eq(net[4].weight)", "net[4].weight.mul(2).sub(1)", "net[1].num_batches_tracked.item()",
    "net[4].weight.element_size()", "net[4].weight.isinf().sum()", "net[1].num_batches_tracked.max()",
    # operators
    "net[4].weight + 1", "1 + net[4].weight", "net[4].weight - net[4].weight", "net[4].weight * 2 / 3", "2 / net[4].bias",
    "net[4].bias ** 2", "2 ** net[4].bias", "-net[4].bias", "net[4].bias * -1.5", "net[6].weight @ net[4].weight",
    "net[6].weight @ net[4].bias", "net[6].weight.T @ net[6].weight - net[6].weight", "net[4].weight + net[4].bias[:, None]",
    "net[4].bias * 1", "net[4].bias + torch.tensor([1, 2, 3, 4, 5])",
    "torch.tensor([[1.5, 2], [3, 4]]) * 2", "net[4].weight == net[4].weight", "net[4].weight != 0", "net[4].weight < 0",
    "net[4].bias <= net[6].bias", "net[4].bias > 0.1", "0.1 >= net[4].bias", "net[4].bias == None",
    "net[4].bias is net[4].bias",
    "net[4].bias is None", "net[4].bias is not None", "net[4] is net[4]", "net[4] == net[6]",
    "net[4].weight.shape == net[6].weight.shape", "net[4].weight.dtype == net[6].weight.dtype", "type(net[4]) == type(net[6])",
    "net[4].weight / 0",
    "net[4].weight.shape[0] * net[4].weight.shape[1] == net[4].weight.numel()", "net[4].weight - net[4].weight.mean()",
    "net[4].weight.mean() + net[6].weight.std() * 3", "1 + 2 * 3", "-7 / 2", "1 < 2",
    "inf", "-inf", "'a' == 'a'", "(1, 2.5)", "net[4].bias.sum() > net[6].bias.sum()", "[net[4].bias, net[6].bias]",
    "net[4].bias.tolist() == net[4].bias.tolist()", "net[1].num_batches_tracked + 0.5", "net[1].num_batches_tracked / 2",
    # layers
    "net", "net[4]", "net[-1]", "net[-7]", "net.named_parameters()", "net.parameters()", "net.named_buffers()",
    "net.buffers()", "net.state_dict()", "net[1].state_dict()", "net.named_children()", "net.children()",
    "net[4].named_modules()",
    "net.state_dict()['4.weight']", "net.state_dict()['1.running_mean'][1:]", "net.state_dict().keys()",
    "net[4].state_dict()['bias'] + 1", "net[5].weight[6]",
]  # fmt: skip


@pytest.mark.parametrize("text", LINES)
def test_a_line_gives_what_python_gives(text: str) -> None:
    model = rich()
    before = state(model)
    assert same(value(model, text), python(model, text)), text
    assert state(model) == before


def test_each_method_of_the_table_is_one_of_torch() -> None:
    assert all(callable(getattr(torch.Tensor, name)) for name in METHODS)
    assert not any(name.endswith("_") or name.startswith("_") for name in METHODS)


@pytest.mark.parametrize(
    "text", ["net[4].weight is net[4].bias", "net[4].weight is not net[6].weight", "net[0].weight is net[1].weight"]
)
def test_tensors_of_any_shapes_are_the_same_or_not(text: str) -> None:
    assert same(value(rich(), text), python(rich(), text))


def test_lazy_tensors_are_the_same_or_not() -> None:
    for text in (
        "net[1].weight.grad == None",
        "type(net[1].weight)",
        "type(net[1])",
        "net[1].weight.requires_grad",
        "net.named_parameters()",
    ):
        assert same(value(zoo("lazy"), text), python(zoo("lazy"), text))
    for text in ("net[1].weight.data", "net[1].weight.shape", "net[1].weight.mean()", "net[1].weight + 1",
                 "net[1].weight[0]", "net[1].weight = 1",
                 "net[1].weight.fill_(1)", "net[1].weight[0] = 1", "net[1].bias *= 2", "net[3].weight = net[1].weight",
                 "nn.init.ones_(net[1].weight)"):  # fmt: skip
        refused(zoo("lazy"), text)


def test_a_lazy_tensor_is_itself() -> None:
    assert value(zoo("lazy"), "net[1].weight is net[1].weight") is True


# changing

ASSIGNED = [
    "net[4].weight.data[0, 0] = 100", "net[4].weight.data[:] += 1", "net[4].bias += 1", "net[4].bias -= net[6].bias",
    "net[4].bias *= 2.5", "net[4].bias /= 3", "net[4].bias **= 2", "net[4].weight *= -1", "net[4].weight.data += 0.1",
    "net[4].weight[0] = 5", "net[4].weight[-1] = -5", "net[4].weight[1:3] = 0", "net[4].weight[:, ::2] = 7",
    "net[4].weight[..., 0] = 1e-3", "net[4].weight[:, 1:4] *= 10", "net[4].weight[[0, 2]] = 3", "net[4].weight[[0, 2]] += 1",
    "net[4].weight[[0, 0]] += 1", "net[4].weight.data[[0, 1], [2, 3]] = 9", "net[4].weight[0][3] = 4",
    "net[4].weight[1:3][0] = 8", "net[4].weight[1:3][1][2:5] = 6", "net[4].weight.T[0] = 1", "net[4].weight.mT[2] = 1",
    "net[4].weight.t()[0, 1] = 5",
    "net[4].weight.view(-1)[7] = 7", "net[4].weight.reshape(4, 20)[0] = 7", "net[4].weight.flatten()[2:9] = 0",
    "net[4].weight.transpose(0, 1)[3] = 3", "net[4].weight.unsqueeze(0)[0, 1] = 2", "net[6].weight.diagonal()[:] = 0",
    "net[0].weight.squeeze()[1] = 2",
    "net[4].weight.detach()[0] = 1", "net[4].bias[2:1] = 5", "net[4].bias[...] = 0", "net[4].bias[:] = net[6].bias",
    "net[4].weight[:] = net[4].bias[:, None]", "net[4].weight[0] = net[4].weight[1]",
    "net[4].weight[0] = net[4].weight.mean()",
    "net[4].bias[:] = torch.tensor([1, 2, 3, 4, 5])", "net[4].weight.data[0, 0] += net[4].weight.data[1, 1]",
    "net[6].weight[:] = net[6].weight @ net[6].weight", "net[0].weight[0, 0] = 1", "net[0].weight.data[:, :, 1, 1] = 1",
    "net[1].running_mean += 1", "net[1].running_var[0] = 3", "net[1].num_batches_tracked += 2",
    "net[1].num_batches_tracked *= 3", "net[4].bias[0] = inf", "net[4].bias[1:3] = -inf", "net[4].bias[0] = True",
    "net[4].weight.data.fill_(1)", "net[4].weight.data[0].fill_(2)",
    "net[4].weight.zero_()", "net[4].weight[:, 0].zero_()", "net[4].weight.add_(1)",
    "net[4].weight.add_(net[4].bias[:, None], alpha=2)", "net[4].weight.sub_(0.5)", "net[4].weight.mul_(net[4].weight)",
    "net[4].weight.div_(3)", "net[4].weight.clamp_(min=0)",
    "net[4].weight.clamp_(-0.1, 0.1)", "net[4].weight.neg_()", "net[4].weight.abs_()", "net[4].weight.round_(decimals=1)",
    "net[4].bias.copy_(net[6].bias)", "net[4].bias.copy_(net[1].num_batches_tracked)", "net.state_dict()['4.bias'][0] = 3",
    "net.state_dict()['4.bias'].data.fill_(3)", "net[4].state_dict()['bias'][:] += 3", "net[5].weight.data[0] = 0",
    "net[4].weight.data /= 0", "net[4].weight.T.fill_(2)", "net[4].weight[0:2].T[1] = 4",
]  # fmt: skip


@pytest.mark.parametrize("text", ASSIGNED)
def test_a_change_is_what_pythons_statement_does(text: str) -> None:
    model = rich()
    twin, before = copy.deepcopy(model), state(model)
    with torch.no_grad():
        exec(text, {"net": twin, "torch": torch, "inf": float("inf")})
    found = evaluate(model, text)
    assert isinstance(found, Written) and found.named.tensor is tensors(model)[found.named.path].tensor
    assert state(model) == before
    held = found.data
    assert not any(held.untyped_storage().data_ptr() == n.tensor.untyped_storage().data_ptr() for n in tensors(model).values())
    for path, named in tensors(twin).items():
        wanted = held if path == found.named.path else tensors(model)[path].tensor
        assert same(named.tensor, wanted), path


@pytest.mark.parametrize(
    "text",
    [
        "net[0].weight.flatten(start_dim=1)[0] = 9",
        "net[6].weight.diagonal(offset=1)[:] = 0",
        "net[6].weight.transpose(dim0=0, dim1=1)[0] = 2",
    ],
)
def test_a_view_by_keywords_is_written_as_python_does(text: str) -> None:
    test_a_change_is_what_pythons_statement_does(text)


@pytest.mark.parametrize(
    "text", ["net[4].weight[[0, 1]].fill_(9)", "net[4].weight[[0]].add_(1)", "net[4].weight[:, [1, 2]].zero_()"]
)
def test_a_copy_is_not_written_to(text: str) -> None:
    assert "copy" in refused(rich(), text)


@pytest.mark.parametrize("text", ["net[1].num_batches_tracked += 0.5", "net[1].num_batches_tracked /= 2"])
def test_whole_numbers_stay_whole_in_place(text: str) -> None:
    with pytest.raises(RuntimeError), torch.no_grad():
        exec(text, {"net": copy.deepcopy(rich())})
    refused(rich(), text)


def test_flags_gradients_ties_and_draws_are_told_apart() -> None:
    model = rich()
    known, before = tensors(model), state(model)
    for text, wanted in {
        "net[4].weight.requires_grad = False": Flagged(known["4.weight"], False),
        "net[4].weight.requires_grad_(False)": Flagged(known["4.weight"], False),
        "4.weight.requires_grad_()": Flagged(known["4.weight"], True),
        "net[4].weight.requires_grad_(requires_grad=False)": Flagged(known["4.weight"], False),
        "net[4].weight.grad = None": Forgotten(known["4.weight"]),
        "net[6].bias = net[4].bias": Tied(known["4.bias"], known["6.bias"]),
        "6.bias = 4.bias": Tied(known["4.bias"], known["6.bias"]),
        "nn.init.normal_(net[4].weight, std=0.01)": Drawn(known["4.weight"], "normal(std=0.01)"),
        "init.zeros_(4.bias)": Drawn(known["4.bias"], "zeros()"),
    }.items():
        assert evaluate(model, text) == wanted, text
    assert state(model) == before


# what is refused

REFUSED = [
    "os.system('ls')", "net.eval()", "net.train()", "net.zero_grad()", "net.forward(1)", "net.apply(print)", "net.apply(net)",
    "net._modules", "net._parameters", "net[0]._buffers", "net.register_buffer('x', 1)", "net.add_module('x', net)",
    "net.append(net)",
    "net.pop(0)", "net.small()", "net.double()", "net.to('cuda')", "net.cuda()", "net.load_state_dict(net.state_dict())",
    "net.requires_grad_(False)", "net.share_memory()", "net.compile()", "net.state_dict(1)", "net.state_dict(prefix='x')",
    "net.parameters(recurse=False)",
    "net.named_parameters().x", "net.in_features", "net[4].in_features", "net[4].forward", "net[4].extra_repr()",
    "net[4].weight.numpy()", "net[4].weight.data_ptr()", "net[4].weight.storage()", "net[4].weight.untyped_storage()",
    "net[4].weight.backward()", "net[4].weight.sum().backward()",
    "net[4].weight.register_hook(print)", "net[4].weight.retain_grad()", "net[4].weight.set_(net[6].weight)",
    "net[4].weight.resize_(1)", "net[4].weight.normal_()", "net[4].weight.uniform_(0, 1)", "net[4].weight.random_()",
    "net[4].weight.share_memory_()", "net[4].weight.apply_(print)",
    "net[4].weight.map_(net[4].weight, print)", "net[4].weight.to('meta')", "net[4].weight.cuda()",
    "net[4].weight.repeat(9999, 9999)", "net[4].weight.expand(9, 9, 9)", "net[4].weight.t_()", "net[4].weight.squeeze_()",
    "net[4].weight.swapaxes(0, 1)", "net[4].weight.grad_fn", "net[4].weight._version",
    "net[4].weight._grad", "net[4].weight.names", "net[4].weight.real", "net[4].weight.is_cuda",
    "net[4].weight.fill_(1).mean()", "net[4].weight.fill_(1) + 1", "1 + net[4].weight.fill_(1)", "type(net[4].weight.zero_())",
    "[net[4].weight.zero_()]", "print(net[4].weight.zero_()[0])",
    "net[4].weight.mean(net[6].weight.zero_())", "net[4].weight[0].add_(1)[0]", "net[4].weight = net[4].weight.zero_()",
    "net[4].weight += net[4].weight.fill_(3)", "net[4].weight.copy_(net[6].weight.neg_())", "net[4].grad = 1",
    "net[4].weight.grad = 1", "net[4].weight.grad = net[4].weight",
    "net[4].weight.grad[0] = 1", "net[4].weight.grad.zero_()", "net[4].weight.grad.fill_(1)", "net[4].weight.grad += 1",
    "net[4].weight.shape = 1", "net[4].weight.dtype = 1", "net[4].weight.requires_grad = 1",
    "net[4].weight.requires_grad = None", "net[4].weight.requires_grad = net",
    "net[4].weight[0].requires_grad = True", "net[4].weight[0].requires_grad_(False)", "net[4].weight[0].grad = None",
    "net[4].weight.abs()[0] = 1", "net[4].weight.clone()[0] = 1", "net[4].weight.mean().fill_(1)",
    "net[4].weight.double()[0] = 1", "net[4].weight.clone().zero_()", "net[4].weight[[0, 1]][0] = 5",
    "net[4] = net[6]", "net[4] = 1", "net[2] = net[4].weight", "net[9] = 1", "net['x'] = 1", "net.x = 1", "net.weight = 1",
    "net[4].x = net[6].weight", "net.training = False", "net[4].weight = 'a'", "net[4].weight = None", "net[4].weight = net",
    "net[4].weight = net[4]", "net[4].weight = type(net)",
    "net[4].weight = [1, 'a']", "net[4].weight = [[1], [2, 3]]", "net[4].weight = [net]",
    "net[4].weight = net[0].weight + net[4].weight", "net[4].weight[:] = net[0].weight", "net[4].weight[0] = [1, 2]",
    "net[4].weight[9] = 1", "net[4].weight[0, 0, 0] = 1", "net[4].weight['a'] = 1", "net[4].weight[0]['a']",
    "net[4].weight + net[0].weight", "net[4].weight @ net[4].weight", "net[4].weight @ 3", "net + 1", "net * net", "net < net",
    "-net", "[1] + [2]", "[1] * 1000000000", "'a' * 1000000000", "'a' + 'b'", "None + 1", "-None", "net[4].weight + None",
    "net[4].weight + 'a'", "1 / 0", "0 ** -1", "9 ** 9 ** 9 ** 9",
    "10.5 ** 999999", "net[4].weight ** 99999", "1e38 ** 1e38", "1e38 * 1e38 ** 999", "net[4].weight.mean(9)",
    "net[4].weight.mean('a')", "net[4].weight.mean(net)", "net[4].weight.mean(foo=1)",
    "net[4].weight.mean(None, None, None, None)", "net[4].weight.reshape(7)", "net[4].weight.view(-1, -1)",
    "net[4].weight.item()", "net[4].weight.quantile(2)", "net[4].weight.norm('x')", "net[4].weight.size(9)",
    "net[4].weight.diag(1, 2, 3)", "net[0].weight.diag()", "net[4].weight.unique(1, 2, 3, 4, 5, 6)", "net[4].weight.clamp()",
    "net[4].weight.round(decimals='x')", "net[4].weight.transpose(5, 6)", "net[4].weight.flip(9)",
    "net[4].weight.sort(dim=9)", "net[4].bias.mT", "len(5)", "len(None)", "len(net[4].weight.mean())", "len(net[4])",
    "torch.tensor('a')", "torch.tensor(net)", "torch.tensor([[1], 2])", "torch.tensor([None])", "torch.load('x')",
    "torch.zeros(9)", "torch.save(net, 'x')", "torch.ones(99999, 99999)", "torch.nn", "torch.hub.load('x', 'y')",
    "np.zeros(3)", "net.state_dict()['x']", "net.state_dict()['4.weigh']", "net.state_dict()[0]", "net.state_dict()[0:1]",
    "net.state_dict().pop('4.weight')", "net.state_dict().clear()", "net.state_dict().update(net)", "net.state_dict().x",
    "net.state_dict().items()[99]", "net.parameters()[99]", "net.parameters()['a']", "net.parameters().append(1)",
    "net[99]", "net[-99]", "net['a']", "net[0, 1]", "net[...]", "net[None]", "net[[0]]", "net[4][0]", "net[2].weight",
    "net[4].weights", "net[4].bais", "net[4].weight.maen()", "net[4].weight.Mean()", "net[4].weight.shape.numel()",
    "net[4].weight.shape['a']", "net[4].weight.dtype.x", "net[4].weight.device.type", "net[4].bias.tolist().append(1)",
    "net[4].bias.tolist()['a']", "net[4].bias.tolist()[99]", "net[4].bias.item()", "net[4].bias.max(0).x",
    "net[4].bias.sort().count(1)", "net[4].weight()", "net[4]()", "net.parameters()()", "nn.init.normal_(net)",
    "nn.init.normal_(net[4])", "nn.init.normal_(net[4].weight[0])", "nn.init.normal_(net[9].weight)",
    "nn.init.normal_(net[4].weight.T)",
    "nn.init.normal_(net[4].weight.grad)", "nn.init.normal_(net[4].weight.clone())", "nn.Linear(2, 3)", "nn.Module()",
    "print(net.x)", "bias[0] = 1", "x.y", "4.weigth", "4.weight.weight", "0.weight.", "4 .weight 5",
]  # fmt: skip


WORKS_HERE = {"1.bias", "0.weight"}  # paths of this network


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: ascii(text)[1:40])
def test_what_cannot_be_done_is_refused_and_changes_nothing(text: str) -> None:
    model = rich()
    before = state(model)
    assert min(taken(model, text) for _ in range(2)) < SOON
    assert state(model) == before


def test_what_the_language_does_not_have_is_refused_and_changes_nothing() -> None:
    model = rich()
    before = state(model)
    for text in LANGUAGE:
        if text in WORKS_HERE:
            evaluate(model, text)
        elif taken(model, text) > SOON:
            assert taken(model, text) < SOON, text
    assert state(model) == before


@pytest.mark.parametrize("name", ["tied", "chimera", "nested", "lazy", "fixed-hidden"])
def test_no_line_of_all_changes_a_network(name: str) -> None:
    model = zoo(name)
    before = state(model)
    known = Evaluator(model)
    for text in [*LINES, *ASSIGNED, *REFUSED, *GOOD, *(t for t in LANGUAGE if len(t) < 80)]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                known.meaning(text)
            except ConsoleError as error:
                assert str(error).isprintable()
    assert state(model) == before


ARGUMENTS = [
    "0", "1", "-1", "9", "0.5", "None", "True", "'a'", "(0, 1)", "[]", "[1]", "net", "net[4].weight", "net[4].bias", "1e38",
    "dim=0", "dim=9", "keepdim=True", "p='fro'", "p='nuc'", "out=net[4].weight", "dtype=net[4].weight.dtype", "inplace=True",
]  # fmt: skip
ONTO = st.sampled_from([*LINES, *ASSIGNED, *REFUSED, *GOOD, *PATHS])
METHOD = st.sampled_from([f".{name}(" for name in METHODS])


@bounded
@given(ONTO, st.data())
def test_any_line_with_a_stain_is_shown_or_refused_and_changes_nothing(text: str, data: st.DataObject) -> None:
    model = rich()
    before = state(model)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 3)))
    line = text[:start] + data.draw(WORDS | METHOD | st.text(max_size=3)) + text[end:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = evaluate(model, line)
        except ConsoleError as error:
            assert str(error) and str(error).isprintable(), line
        else:
            if isinstance(found, Shown):
                assert all(said.isprintable() for said in shown.lines(found.value)), line
    assert state(model) == before


@bounded
@given(st.sampled_from(METHODS), st.lists(st.sampled_from(ARGUMENTS), max_size=3))
def test_any_method_with_any_arguments_is_computed_or_refused(name: str, arguments: list[str]) -> None:
    model = rich()
    before = state(model)
    for of in ("net[4].weight", "net[0].weight", "net[4].bias", "net[1].num_batches_tracked", "net[4].weight.grad"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                value(model, f"{of}.{name}({', '.join(sorted(arguments, key=lambda a: '=' in a))})")
            except ConsoleError as error:
                assert str(error).isprintable()
    assert state(model) == before


def test_a_shape_is_not_repeated() -> None:
    refused(rich(), "net[4].weight.shape * 1000000000000")


@pytest.mark.parametrize(
    "text",
    [
        "net[4].weight.reshape(-1, 1) @ net[4].weight.reshape(1, -1)",
        "net[4].bias.diag(100)",
        "net[4].bias.diag(diagonal=100)",
    ],
)
def test_what_needs_too_much_memory_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NUMBERS", 1000)
    assert "too many" in refused(rich(), text)


def test_broadcasting_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NUMBERS", 1000)
    assert "too many" in refused(rich(), "net[4].weight.reshape(-1, 1) + net[4].weight.reshape(1, -1)")


@pytest.mark.parametrize("text", ["net[0].weight.T", "net[4].bias.T", "torch.tensor(net[4].bias)"])
def test_torch_warns_of_nothing(text: str) -> None:
    try:
        evaluate(rich(), text)
    except ConsoleError:
        pass


class Counted(nn.Module):
    """Says no with an exception of a kind that torch does not raise."""

    calls = 0

    def __len__(self) -> int:
        Counted.calls += 1
        raise AttributeError("no length here")


def test_a_persons_own_length_is_not_asked_or_may_raise_anything() -> None:
    refused(Counted(), "len(net)")


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\nb", "\u202ea"])
def test_names_of_layers_cannot_move_the_cursor(name: str) -> None:
    model = nn.Sequential()
    model.add_module(name, nn.Linear(2, 2))
    refused(model, "net.foo")


def test_mistakes_are_answered_with_what_was_probably_meant() -> None:
    model = rich()
    for text, words in {
        "net[4].weigth": "did you mean weight?",
        "net[4].weight.maen()": "did you mean mean()?",
        "net.state_dict()['4.weigth']": "did you mean '4.weight'?",
        "net[9].weight": "has 7 layers",
        "net[4][0]": "holds no layers",
        "net[4].weight.fill_(1).mean()": "end of a line",
        "net[4].weight.mean": "did you mean mean()?",
        "net[4].weight.grad = 1": "step of the bench",
        "net.forward(1)": "state_dict()",
    }.items():
        assert words in refused(model, text), text
