"""What `files.of_file` gives is bit for bit what the libraries of the formats themselves read."""

import io
import itertools
import json
import os
import pickle
import struct
import time
import warnings
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch
from hypothesis import given as given_
from hypothesis import settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from mlptui.engine.parameters import files
from mlptui.engine.parameters.errors import ParameterError
from mlptui.store.formats import opening, zips
from mlptui.store.formats.contents import SHOWN, FormatError

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64)
EIGHTS = (torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz)
TYPES = (*FLOATS, *INTEGERS, *EIGHTS, torch.bool)
NOT_OLDER = (*EIGHTS, torch.uint16, torch.uint32, torch.uint64)
SHAPES = ((), (0,), (3, 0, 2), (1,), (7,), (3, 5), (2, 3, 4, 1))
SAVES: dict[str, dict[str, Any]] = {"zip": {}, "older": {"_use_new_zipfile_serialization": False}}


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


def random_bits(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Any bits at all, NaN with payloads and infinities among them."""
    generator = torch.Generator().manual_seed(sum(shape))
    count = torch.Size(shape).numel()
    if dtype == torch.bool:
        return torch.randint(0, 2, shape, generator=generator).bool()
    raw = torch.randint(0, 256, (count * dtype.itemsize,), generator=generator, dtype=torch.uint8)
    return raw.view(dtype).reshape(shape)


def given(path: Path) -> dict[str, nn.Parameter]:
    return dict(files.of_file(path).named_parameters(remove_duplicate=False))


def same(found: dict[str, Any], wanted: dict[str, torch.Tensor]) -> None:
    assert set(found) == set(wanted)
    for name, tensor in wanted.items():
        one = found[name]
        assert (one.dtype, tuple(one.shape)) == (tensor.dtype, tuple(tensor.shape)), name
        assert bits(one) == bits(tensor), name


def everything() -> dict[str, torch.Tensor]:
    return {
        f"{str(dtype).removeprefix('torch.')}_{'x'.join(map(str, shape)) or 'one'}": random_bits(shape, dtype)
        for dtype in TYPES
        for shape in SHAPES
    }


@pytest.mark.parametrize("how", SAVES)
def test_every_type_and_shape_of_torch(tmp_path: Path, how: str) -> None:
    path = tmp_path / "all.pt"
    kept = everything()
    if how == "older":  # torch itself cannot write the others so
        kept = {name: one for name, one in kept.items() if one.dtype not in NOT_OLDER}
    torch.save(kept, path, **SAVES[how])
    same(given(path), torch.load(path, weights_only=True))


@pytest.mark.parametrize("how", SAVES)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_of_pickle(tmp_path: Path, how: str, protocol: int) -> None:
    path = tmp_path / "model.pt"
    values = {"a": {"b": torch.arange(6.0)}, "c": [torch.ones(2), 3, "text", None]}
    torch.save(values, path, pickle_protocol=protocol, **SAVES[how])
    same(given(path), {"a.b": torch.arange(6.0), "c.0": torch.ones(2)})


def test_every_type_and_shape_of_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "all.safetensors"
    safetensors.torch.save_file(everything(), path, {"format": "pt", "note": "x"})
    same(given(path), safetensors.torch.load_file(path))
    assert dict(files.of_file(path).facts.about) == {"format": "pt", "note": "x"}


def views(base: torch.Tensor) -> dict[str, torch.Tensor]:
    """Views of one storage."""
    return {
        "whole": base,
        "transposed": base.t(),
        "row": base[2],
        "column": base[:, 3],
        "slice": base[1:4, 2:5],
        "every second": base[::2, 1::2],
        "permuted": base.reshape(2, 3, 7).permute(2, 0, 1),
        "one number": base[4, 5],
        "nothing": base[6:],
        "of its own": base.clone(),
    }


@pytest.mark.parametrize("how", SAVES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.int8, torch.bfloat16], ids=str)
def test_views_of_one_storage(tmp_path: Path, how: str, dtype: torch.dtype) -> None:
    path = tmp_path / "views.pt"
    torch.save(views(random_bits((6, 7), dtype)), path, **SAVES[how])
    same(given(path), torch.load(path, weights_only=True))


@pytest.mark.parametrize("how", SAVES)
def test_a_saved_slice_alone(tmp_path: Path, how: str) -> None:
    path = tmp_path / "slice.pt"
    torch.save(torch.arange(100.0)[37:42], path, **SAVES[how])
    same(given(path), {"tensor": torch.arange(37.0, 42.0)})


@pytest.mark.parametrize("how", SAVES)
def test_tied_parameters_are_one(tmp_path: Path, how: str) -> None:
    path = tmp_path / "tied.pt"
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.BatchNorm1d(3))
    model[1].weight = model[0].weight
    torch.save(model.state_dict(), path, **SAVES[how])
    found = given(path)
    same(found, torch.load(path, weights_only=True))
    assert found["0.weight"] is found["1.weight"] and found["0.bias"] is not found["1.bias"]


@pytest.mark.parametrize("how", SAVES)
def test_a_whole_module_is_called_as_its_state_dict(tmp_path: Path, how: str) -> None:
    path = tmp_path / "module.pt"
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2, bias=False)))
    torch.save(model, path, **SAVES[how])
    same(given(path), dict(model.state_dict()))


@pytest.mark.parametrize("how", SAVES)
def test_parameters_and_collections(tmp_path: Path, how: str) -> None:
    path = tmp_path / "collections.pt"
    weight = nn.Parameter(torch.randn(2, 3))
    values = {
        "parameter": weight,
        "frozen": nn.Parameter(torch.randn(2), requires_grad=False),
        "ordered": OrderedDict(a=torch.ones(1), b=torch.zeros(1)),
        "default": defaultdict(list, x=torch.ones(3)),
        "list": [torch.ones(1), (torch.zeros(2), [torch.ones(4)])],
        3: torch.full((2,), 3.0),
        "3": torch.full((2,), 4.0),
        (0, 1): torch.full((2,), 5.0),
        (1, 0): torch.full((2,), 6.0),
    }
    torch.save(values, path, **SAVES[how])
    wanted = {
        "parameter": weight, "frozen": values["frozen"], "ordered.a": torch.ones(1), "ordered.b": torch.zeros(1),
        "default.x": torch.ones(3), "list.0": torch.ones(1), "list.1.0": torch.zeros(2), "list.1.1.0": torch.ones(4),
        "3": torch.full((2,), 3.0),
    }  # fmt: skip
    found = given(path)
    same({name: found[name] for name in wanted}, wanted)
    others = [one for name, one in found.items() if name not in wanted]
    assert sorted(float(one.detach()[0]) for one in others) == [4.0, 5.0, 6.0]


@pytest.mark.parametrize("how", SAVES)
def test_an_optimiser_beside_its_network(tmp_path: Path, how: str) -> None:
    path = tmp_path / "training.ckpt"
    model = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(4, 3)).sum().backward()
    optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, path, **SAVES[how])
    loaded = torch.load(path, weights_only=True)
    wanted = {f"model.{name}": one for name, one in loaded["model"].items()}
    for i, state in loaded["optimizer"]["state"].items():
        wanted |= {f"optimizer.state.{i}.{name}": one for name, one in state.items()}
    same(given(path), wanted)


@pytest.mark.parametrize("how", SAVES)
def test_a_negated_view_is_not_shown_with_the_wrong_sign(tmp_path: Path, how: str) -> None:
    path = tmp_path / "negated.pt"
    lazily = torch.randn(3, dtype=torch.cfloat).conj().imag
    assert lazily.is_neg()
    torch.save({"w": torch.ones(1), "negated": lazily}, path, **SAVES[how])
    found = given(path)
    if "negated" in found:
        assert torch.equal(found["negated"], lazily)
    assert torch.equal(found["w"], torch.ones(1))


def test_numbers_of_another_byte_order_in_a_zip(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain.pt", tmp_path / "big.pt"
    tensors = {str(t).removeprefix("torch."): random_bits((3, 4), t) for t in (*FLOATS, torch.int64, torch.int16, torch.uint8)}
    torch.save(tensors, plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w") as new:
        for i, info in enumerate(name for name in old.namelist() if "/data/" in name):
            width = list(tensors.values())[i].dtype.itemsize
            new.writestr(info, np.frombuffer(old.read(info), f"V{width}").view(("u1", width))[:, ::-1].tobytes())
        for name in old.namelist():
            if "/data/" not in name:
                new.writestr(name, b"big" if name.endswith("byteorder") else old.read(name))
    same(given(path), tensors)


def test_every_type_and_shape_of_numpy(tmp_path: Path) -> None:
    path = tmp_path / "one.npy"
    rng = np.random.default_rng(1)
    for kind in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"):
        for order in "<>":
            for shape in SHAPES:
                for layout in (np.ascontiguousarray, np.asfortranarray, lambda a: a.T):
                    count = int(np.prod(shape, dtype=int)) * np.dtype(kind).itemsize
                    raw = rng.integers(0, 2 if kind == "?" else 256, count, dtype=np.uint8)
                    array = layout(raw.view(np.dtype(kind).newbyteorder(order)).reshape(shape)).reshape(shape)
                    np.save(path, array)
                    read = np.load(path)
                    (found,) = given(path).values()
                    assert tuple(found.shape) == read.shape, (kind, order, shape)
                    native = np.ascontiguousarray(read.astype(read.dtype.newbyteorder("="), copy=False))
                    assert bits(found) == native.tobytes(), (kind, order, shape)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, save: Callable[..., None]) -> None:
    path = tmp_path / "many.npz"
    rng = np.random.default_rng(2)
    arrays = {
        "a": rng.normal(size=(40, 30)),
        "layer.weight": np.asfortranarray(rng.normal(size=(5, 4)).astype("f4")),
        "big": rng.integers(0, 99, 11).astype(">i4"),
        "zero": np.float32(3.5),
        "none": np.ones((0, 3)),
        "half": rng.normal(size=3).astype("f2"),
    }
    save(path, **arrays, text=np.array("no numbers"))
    found = given(path)
    assert set(found) == set(arrays)
    with np.load(path) as read:
        for name in arrays:
            assert np.array_equal(found[name].detach().numpy(), read[name]), name


def test_a_bomb_is_looked_at_and_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (536870912,)}\n"  # two gigabytes, of which two megabytes come
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + b"\0" * (2 << 20))
    data = bytearray(path.read_bytes())
    table = data.index(b"PK\1\2")
    data[table + 24 : table + 28] = struct.pack("<I", (2 << 30) + 10 + len(header))
    path.write_bytes(data)
    with pytest.raises(ParameterError, match=r"bomb\.npz is compressed or not aligned, and too large"):
        files.of_file(path)


def safetensors_of(*names: str) -> bytes:
    return safetensors.torch.save({name: torch.full((2,), float(i)) for i, name in enumerate(names)})


NAMES: dict[str, tuple[str, ...]] = {
    "nested beside flat": ("a", "a.b", "a.b.c"),
    "empty parts": ("a..b", ".a", "a.", "..", "."),
    "no name": ("", "a"),
    "no name beside a dot": ("", "."),
    "dots that look like it": ("a", "a.b", "a·b"),
    "a number behind": ("w", "w~2", "w~3"),
    "numbers": ("10.w", "2.w", "1" * 5000, "٣.w", "²", "-1", "007"),
    "names of modules": ("_modules", "_parameters.w", "forward", "training", "about", "__class__", "weight.data"),
    "codes and markup": ("\x1b[31m", "[/x]", "[red]", "a\nb", "\0", "../../x", "😀"),
    "deep": (".".join(["a"] * 3000), "a"),
    "long": ("k" * 100_000, "k" * 99_999 + "z"),
}


@pytest.mark.parametrize("kind", NAMES)
def test_no_name_hides_a_tensor(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "names.safetensors"
    path.write_bytes(safetensors_of(*NAMES[kind]))
    found = given(path)
    assert sorted(float(one.detach()[0]) for one in found.values()) == [float(i) for i in range(len(NAMES[kind]))]


def test_a_flat_name_beside_a_nested_one(tmp_path: Path) -> None:
    path = tmp_path / "both.pt"
    torch.save({"a.b": torch.zeros(1), "a": {"b": torch.ones(1), "": torch.full((1,), 2.0)}, "": torch.full((1,), 3.0)}, path)
    assert sorted(float(one.detach()) for one in given(path).values()) == [0.0, 1.0, 2.0, 3.0]


def test_what_cannot_be_shown_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = {
            "w": torch.ones(2),
            "sparse": torch.eye(2).to_sparse(),
            "quantised": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
            "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
            "meta": torch.ones(2, device="meta"),
            "complex": torch.ones(2, dtype=torch.cfloat),
            "expanded": torch.ones(1).expand(4),
        }
        torch.save(values, path)
    same(given(path), {"w": torch.ones(2)})


@pytest.mark.parametrize("value", [{"a": 1}, torch.ones(2, dtype=torch.cfloat), [], None])
def test_nothing_to_show_is_said(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "none\n.pt"
    torch.save(value, path)
    with pytest.raises(ParameterError, match="holds no tensors that can be shown") as caught:
        files.of_file(path)
    assert str(caught.value).isprintable()


def test_a_plain_pickle_with_arrays_is_refused_or_empty(tmp_path: Path) -> None:
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps({"w": np.ones(3)}))
    with pytest.raises((ParameterError, FormatError)):
        files.of_file(path)


def test_looking_does_not_change_the_file(tmp_path: Path) -> None:
    path = tmp_path / "same.pt"
    torch.save({"w": torch.ones(4), "v": torch.zeros(3, 3)}, path)
    before = path.read_bytes()
    for one in given(path).values():
        one.detach().add_(1)
    assert path.read_bytes() == before
    path.chmod(0o400)
    same(given(path), {"w": torch.ones(4), "v": torch.zeros(3, 3)})


def test_a_link_is_followed(tmp_path: Path) -> None:
    path, link = tmp_path / "real.pt", tmp_path / "link.pt"
    torch.save({"w": torch.arange(3)}, path)
    link.symlink_to(path)
    same(given(link), {"w": torch.arange(3)})


def test_a_script_is_read_without_its_code(tmp_path: Path) -> None:
    path = tmp_path / "script.pt"
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = io.BytesIO()
        torch.jit.save(torch.jit.script(model), stream)
    path.write_bytes(stream.getvalue())
    found, wanted = given(path), model.state_dict()
    same({name: found[name] for name in wanted}, dict(wanted))


def test_names_deep_in_one_another_take_no_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "deep.safetensors"
    path.write_bytes(safetensors_of(*(f"{i}." + "b." * 60 + "w" for i in range(2000))))
    model = files.of_file(path)
    assert len(dict(model.named_parameters())) == 2000
    assert sum(1 for _ in model.modules()) < 100_000  # each takes 7 kB


KEYS = st.sampled_from(["a", "b", "a.b", "", "a·b", "a·b~", "0"])
TREES = st.recursive(st.just(None), lambda below: st.dictionaries(KEYS, below), max_leaves=8)


@settings(derandomize=True, deadline=None, database=None, max_examples=60)
@given_(TREES)
def test_what_is_chosen_in_the_tree_is_what_is_looked_at(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    """Names that could stand for two tensors stand for one, in the tree of places and in area 3."""
    numbers = iter(range(1, 100))

    def filled(below: Any) -> Any:
        if below is None:
            return torch.tensor([next(numbers)])
        return {key: filled(value) for key, value in below.items()}

    made = filled(tree)
    file = tmp_path_factory.mktemp("tree") / "f.pt"
    torch.save(made, file)
    names = opening.read(file).looked_at()
    assert len(set(names.values())) == len(names)
    if not names:
        return
    found = given(file)
    assert set(names.values()) == set(found)
    for path, name in names.items():
        there = made
        for key in path:
            there = there[key]
        assert int(found[name]) == int(there)


def test_the_types_that_are_shown_are_those_that_can_be_opened() -> None:
    assert set(files.DTYPES) == SHOWN


def test_what_is_damaged_in_a_zip_is_looked_at_and_does_not_leave_it(tmp_path: Path) -> None:
    file = tmp_path / "f.pt"
    torch.save({"w": torch.ones(1000)}, file)
    data = bytearray(file.read_bytes())
    data[data.index(torch.ones(8).numpy().tobytes()) + 5] ^= 1
    file.write_bytes(data)
    model = files.of_file(file)
    with pytest.raises(FormatError, match="data/0: Bad CRC-32"):
        files.check(model)


def test_a_file_that_is_cut_off_while_it_is_looked_at_harms_nobody(tmp_path: Path) -> None:
    file = tmp_path / "f.safetensors"
    safetensors.torch.save_file({"w": torch.ones(100_000)}, file)
    found = given(file)
    os.truncate(file, 1000)
    assert float(found["w"].sum()) == 100_000


def test_compressed_members_are_unpacked_once_and_count_what_they_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "f.npz"
    np.savez_compressed(file, a=np.ones(1000, np.float32), b=np.ones(1000, np.float32))
    monkeypatch.setattr(files, "COPIED", 8500)
    assert len(given(file)) == 2
    monkeypatch.setattr(files, "COPIED", 8000)
    with pytest.raises(ParameterError, match="too large to be copied"):
        files.of_file(file)


def test_members_that_unpack_to_more_than_is_read_are_not_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "f.npz"
    np.savez_compressed(file, a=np.zeros(1_000_000))
    monkeypatch.setattr(zips, "READ_LIMIT", 1 << 20)
    with pytest.raises(FormatError, match="when they are unpacked"):
        opening.verify(file)


def test_a_tensor_may_be_called_anything(tmp_path: Path) -> None:
    names = ("about", "order", "file", "left_out", "compare", "facts", "know", "training", "mlptui", "forward", "order.weight")
    some = {name: torch.tensor([float(i)]) for i, name in enumerate(names) if name != "order"}
    for ending, save in (("safetensors", save_file), ("pt", torch.save)):
        save(some, tmp_path / f"a.{ending}")
        found = given(tmp_path / f"a.{ending}")
        assert {name: float(one) for name, one in found.items()} == {name: float(one) for name, one in some.items()}
    one = {"order": torch.ones(2)}
    save_file(one, tmp_path / "one.safetensors")
    same(given(tmp_path / "one.safetensors"), one)


def test_thousands_of_names_that_would_be_one_place_are_told_apart_in_time(tmp_path: Path) -> None:
    names = ["." + "".join(signs) for signs in itertools.islice(itertools.product(".·", repeat=13), 8_000)]
    entries = {name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for name in names}
    head = json.dumps(entries, ensure_ascii=False).encode()
    file = tmp_path / "a.safetensors"
    file.write_bytes(len(head).to_bytes(8, "little") + head)
    begun = time.process_time()
    found = opening.read(file).looked_at()
    assert time.process_time() - begun < 3, "0.2 s where this was written, minutes before"
    assert len(set(found.values())) == len(names)


def test_whole_numbers_that_float64_does_not_tell_apart_differ() -> None:
    for dtype in (torch.int64, torch.uint64):
        one = torch.tensor([2**53, 5], dtype=dtype)
        other = torch.tensor([2**53 + 1, 5], dtype=dtype)
        found = files.difference(one, other)
        assert (found.largest, found.changed) == (1.0, 0.5)
        assert files.difference(one, one)[:2] == (0.0, 0.0)
