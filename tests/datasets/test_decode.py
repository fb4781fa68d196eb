"""From an origin's files to arrays: the right pictures with the right classes, or one sentence and nothing left behind."""

import bz2
import gzip
import io
import os
import random
import struct
import tarfile
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets.archives import (
    SHAPES,
    cifar_members,
    content_of,
    element,
    emnist_members,
    fence,
    files_of,
    gzip_bomb,
    idx,
    libsvm,
    mat,
    matrix,
    member,
    packed,
    small,
    stl_members,
    tarred,
    xz_of_4_gib,
    zeros,
    zipped,
)  # fmt: skip

from mlptui.core.errors import DataError
from mlptui.datasets import catalog, importing, library, prepared
from mlptui.datasets.dataset import IMAGES
from mlptui.datasets.decode import READERS, decode
from mlptui.datasets.entry import Entry
from mlptui.store.paths import Paths

Files = dict[str, Path]


def lay(folder: Path, files: dict[str, bytes]) -> Files:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return {name: folder / name for name in files}


def decoded(parent: Path, entry: Entry, files: Files, sha256: str = "") -> Path:
    with fence():
        return decode(parent, entry, files, sha256, lambda _: None)


def refused(paths: Paths, entry: Entry, files: Files) -> str:
    """The sentence by which it is refused; nothing is left in the data folder."""
    with pytest.raises(DataError) as caught:
        decoded(paths.datasets, entry, files)
    sentence = str(caught.value)
    assert sentence.isprintable() and 0 < len(sentence) < 500, sentence
    assert not paths.datasets.exists() or not os.listdir(paths.datasets)
    return sentence


# what is right is read


def test_every_reader_is_tried_here() -> None:
    assert {small(name).format for name in SHAPES} == set(READERS)


@pytest.mark.parametrize("name", SHAPES)
def test_pictures_and_classes_are_those_of_the_origin(paths: Paths, tmp_path: Path, name: str) -> None:
    entry = small(name)
    place = decoded(paths.datasets, entry, lay(tmp_path / "files", files_of(entry)), "5" * 64)
    data = prepared.open_set(place)
    for split, (images, labels) in zip((data.train, data.test), content_of(entry), strict=True):
        assert split.inputs.dtype == split.targets.dtype == np.uint8
        assert np.array_equal(split.inputs, images) and np.array_equal(split.targets, labels)
    facts = data.facts
    assert (facts.name, facts.kind, facts.classes, facts.shape) == (name, IMAGES, entry.classes, entry.shape)
    assert (facts.train_size, facts.test_size, facts.sha256) == (entry.train_size, entry.test_size, "5" * 64)
    assert (facts.origin, facts.licence, facts.notes) == (entry.origin, entry.licence, entry.notes)
    assert len(facts.mean) == entry.shape[0] and os.listdir(paths.datasets) == [name]


@pytest.mark.parametrize("name", ["kmnist", "qmnist", "usps"])
def test_files_that_were_unpacked_by_hand_are_read_as_well(paths: Paths, tmp_path: Path, name: str) -> None:
    entry = small(name)
    plain = {n: (bz2 if n.endswith("bz2") else gzip).decompress(data) for n, data in files_of(entry).items()}
    data = prepared.open_set(decoded(paths.datasets, entry, lay(tmp_path / "files", plain)))
    assert np.array_equal(data.train.inputs, content_of(entry)[0][0])


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
def test_an_archive_in_another_order_and_unpacked_with_strangers_in_it_is_read(
    paths: Paths, tmp_path: Path, mode: str
) -> None:
    entry = small("cifar-100")
    members = {"./" + name: data for name, data in reversed(cifar_members(entry).items())}
    strangers = {"../../etc/passwd": b"x", "/etc/shadow": b"x", "\x1b[2J[/red]": b"x", "x" * 300: b"x"}
    files = lay(tmp_path / "files", {entry.files[0].name: tarred({**strangers, **members}, mode)})
    data = prepared.open_set(decoded(paths.datasets, entry, files))
    assert np.array_equal(data.train.inputs, content_of(entry)[0][0])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["files", "home"]


def test_uncompressed_matlab_arrays_are_read_as_well(paths: Paths, tmp_path: Path) -> None:
    entry = small("svhn")
    files = {}
    for file, (images, labels) in zip(entry.files, content_of(entry), strict=True):
        shown = np.where(labels == 0, 10.0, labels)[:, None]
        files[file.name] = mat(matrix("extra", shown), matrix("y", shown), matrix("X", images.transpose(2, 3, 1, 0)))
    data = prepared.open_set(decoded(paths.datasets, entry, lay(tmp_path / "files", files)))
    assert np.array_equal(data.train.inputs, content_of(entry)[0][0])
    assert np.array_equal(data.test.targets, content_of(entry)[1][1])


# what is not right is refused


def first(name: str) -> str:
    return small(name).files[0].name


def given(name: str) -> tuple[Entry, dict[str, bytes]]:
    return small(name), files_of(small(name))


def labels_of(values: list[int]) -> bytes:
    return gzip.compress(idx((len(values),), bytes(values)))


def idx_cases() -> dict[str, dict[str, bytes]]:
    entry, files = given("kmnist")
    images, labels = entry.files[0].name, entry.files[1].name
    plain = gzip.decompress(files[images])
    size = len(plain)
    changes = {
        "empty": b"",
        "a web page": b"<!DOCTYPE html>[/red]\x1b[2J",
        "wrong magic": b"\0\0\x07" + plain[3:],
        "magic not zero": b"\1" + plain[1:],
        "of floats": plain[:2] + b"\x0d" + plain[3:],
        "no dimensions": b"\0\0\x08\0" + plain[4:],
        "255 dimensions": b"\0\0\x08\xff" + plain[4:],
        "header cut": plain[:9],
        "gigantic header": idx((2**32 - 1,) * 3, plain[16:]),
        "four gigantic dimensions": idx((2**32 - 1,) * 4, plain[16:]),
        "no pictures": idx((0, 5, 4), b""),
        "other shape of as many bytes": idx((6, 4, 5), plain[16:]),
        "a byte too few": plain[:-1],
        "a byte too many": plain + b"\0",
        "labels for pictures": files[labels],
        "gzip of gzip": gzip.compress(files[images]),
        "gzip cut": files[images][: size // 2],
        "gzip of nothing": gzip.compress(b""),
        "bomb": gzip_bomb(2000, plain[:16]),
        "xz of 4 GiB": xz_of_4_gib(plain[:-1]),
    }
    made = {f"kmnist pictures: {kind}": {**files, images: data} for kind, data in changes.items()}
    made["kmnist labels: one is 10"] = {**files, labels: labels_of([0, 1, 2, 10, 4, 5])}
    made["kmnist labels: one is 255"] = {**files, labels: labels_of([0, 1, 2, 255, 4, 5])}
    made["kmnist labels: too few"] = {**files, labels: labels_of([0, 1])}
    return made


def qmnist_cases() -> dict[str, dict[str, bytes]]:
    entry, files = given("qmnist")
    labels = entry.files[1].name
    table = np.zeros((6, 8), ">i4")

    def with_first(value: int) -> bytes:
        hurt = table.copy()
        hurt[2, 0] = value
        return idx((6, 8), hurt.tobytes(), 0x0C)

    not_finite = np.full((6, 8), np.nan, ">f4")
    changes = {
        "one dimension": idx((48,), table.tobytes(), 0x0C),
        "three dimensions": idx((6, 4, 2), table.tobytes(), 0x0C),
        "no columns": idx((6, 0), b"", 0x0C),
        "no rows": idx((0, 8), b"", 0x0C),
        "too few rows": idx((3, 16), table.tobytes(), 0x0C),
        "negative": with_first(-1),
        "too large": with_first(10),
        "largest": with_first(2**31 - 1),
        "least": with_first(-(2**31)),
        "floats that are no numbers": idx((6, 8), not_finite.tobytes(), 0x0D),
        "doubles without end": idx((6, 8), np.full((6, 8), np.inf, ">f8").tobytes(), 0x0E),
        "gigantic header": idx((2**32 - 1, 2**32 - 1), table.tobytes(), 0x0C),
        "promises more": idx((7, 8), table.tobytes(), 0x0C),
        "bomb": gzip_bomb(2000, idx((2**20, 8), b"", 0x0C)),
    }
    return {f"qmnist labels: {kind}": {**files, labels: data} for kind, data in changes.items()}


def libsvm_cases() -> dict[str, dict[str, bytes]]:
    entry, files = given("usps")
    name = entry.files[0].name
    lines = libsvm(*content_of(entry)[0]).splitlines()

    def with_line(line: bytes) -> bytes:
        return b"\n".join([*lines[:3], line, *lines[4:]]) + b"\n"

    changes = {
        "a line too few": b"\n".join(lines[:-1]),
        "a line too many": b"\n".join([*lines, lines[0]]),
        "empty line": with_line(b""),
        "feature 0": with_line(b"1 0:0.5"),
        "feature too far": with_line(b"1 13:0.5"),
        "feature negative": with_line(b"1 -1:0.5"),
        "feature huge": with_line(b"1 " + b"9" * 400 + b":0.5"),
        "feature of 5,000 digits": with_line(b"1 " + b"9" * 5000 + b":0.5"),
        "feature of markup": with_line(b"1 [/red]\x1b[2J\x00\xff:0.5"),
        "no colon": with_line(b"1 5"),
        "value of markup": with_line(b"1 1:[/red]\x1b[2J"),
        "value not a number": with_line(b"1 1:nan"),
        "value infinite": with_line(b"1 1:-inf"),
        "label 0": with_line(b"0 1:0.5"),
        "label 11": with_line(b"11 1:0.5"),
        "label negative": with_line(b"-5 1:0.5"),
        "label huge": with_line(b"9" * 30 + b" 1:0.5"),
        "label of markup": with_line(b"[/red]\x1b]52;c;QQ==\x07 1:0.5"),
        "bytes": bytes(range(256)) * 3,
    }
    made = {f"usps: {kind}": {**files, name: bz2.compress(data)} for kind, data in changes.items()}
    made["usps: cut"] = {**files, name: files[name][:-20]}
    made["usps: bomb"] = {**files, name: bz2.compress(bytes(60_000_000))}
    made["usps: gzip bomb"] = {**files, name: gzip_bomb(2000)}
    made["usps: xz of 4 GiB"] = {**files, name: xz_of_4_gib(b"\n".join(lines[:-1]))}
    return made


def bare_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = member(name, kind=kind)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def pax(records: dict[str, str], name: str) -> bytes:
    """A pax header over the member `name`."""
    body = b""
    for key, value in records.items():
        rest = f" {key}={value}\n".encode()
        length = len(rest) + len(str(len(rest)))
        body += str(length + len(str(length)) - len(str(len(rest)))).encode() + rest
    return bare_header("pax", len(body), tarfile.XHDTYPE) + body.ljust(512, b"\0") + bare_header(name, 0)


def tar_cases() -> dict[str, dict[str, bytes]]:
    made = {}
    for set_, members, wanted in (
        ("cifar-100", cifar_members(small("cifar-100")), "cifar-100-binary/test.bin"),
        ("stl-10", stl_members(small("stl-10")), "stl10_binary/train_X.bin"),
    ):
        data = members[wanted]
        others = {n: d for n, d in members.items() if n != wanted}
        whole = tarred(members)
        archive = gzip.decompress(whole)
        kinds = {
            "symbolic link": member(wanted, kind=tarfile.SYMTYPE, link="/etc/passwd"),
            "hard link": member(wanted, kind=tarfile.LNKTYPE, link=next(iter(others))),
            "link to itself": member(wanted, kind=tarfile.LNKTYPE, link=wanted),
            "character device": member(wanted, kind=tarfile.CHRTYPE),
            "block device": member(wanted, kind=tarfile.BLKTYPE),
            "pipe": member(wanted, kind=tarfile.FIFOTYPE),
            "folder": member(wanted, kind=tarfile.DIRTYPE),
            "of an unknown kind": member(wanted, kind=b"Z"),
        }
        changes = {f"member is a {kind}": tarred(others, "w:gz", (info, b"")) for kind, info in kinds.items()}
        changes |= {
            "member missing": tarred(others),
            "member short": tarred({**others, wanted: data[:-1]}),
            "member long": tarred({**others, wanted: data + b"\0"}),
            "member empty": tarred({**others, wanted: b""}),
            "leads out": tarred({**others, f"../{wanted}": data}),
            "leads out in the middle": tarred({**others, wanted.replace("/", "/../"): data}),
            "from the root": tarred({**others, f"/{wanted}": data}),
            "name with escape codes": tarred({**others, f"{wanted}\x1b[2J[/red]": data}),
            "a name twice, a link first": tarred({}, "w:gz", (kinds["symbolic link"], b"")) + whole,
            "empty": b"",
            "empty archive": tarred({}),
            "no archive": b"[/red]\x1b[2J" * 1000,
            "compressed nothing": gzip.compress(bytes(20_000)),
            "packed by bzip2": tarred(members, "w:bz2"),
            "packed by xz": tarred(members, "w:xz"),
            "cut in a header": archive[:700],
            "cut in the data": gzip.compress(archive[: archive.index(data) + len(data) - 1]),
            "gzip cut": whole[: len(whole) // 2],
            "promises 8 GiB": gzip.compress(bare_header(wanted, 8**11 - 1) + data),
            "promises 2^80 bytes": gzip.compress(bare_header(wanted, 2**80) + data),
            "stranger of 8 GiB that is not there": gzip.compress(bare_header("big", 8**11 - 1)) + whole,
            "negative size": gzip.compress(bare_header(wanted, -5) + data),
            "stranger of a negative size": gzip.compress(bare_header("x", -512) + data),
            "xz of 4 GiB": xz_of_4_gib(archive[:5000]),
            "name that is a bomb": gzip_bomb(600, bare_header("././@LongLink", 600 << 20, tarfile.GNUTYPE_LONGNAME)),
            "link name that is a bomb": gzip_bomb(600, bare_header("././@LongLink", 600 << 20, tarfile.GNUTYPE_LONGLINK)),
            "pax header that is a bomb": gzip_bomb(600, bare_header("pax", 600 << 20, tarfile.XHDTYPE)),
            "global pax header that is a bomb": gzip_bomb(600, bare_header("pax", 600 << 20, tarfile.XGLTYPE)),
            "sparse map of words": pax({"GNU.sparse.map": "a,b", "GNU.sparse.size": "5"}, wanted),
            "sparse size of words": pax(
                {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "x"}, wanted
            ),
            "pax size of words": pax({"size": "many"}, wanted),
            "pax size huge": pax({"size": "9" * 40}, wanted),
            "pax size negative": pax({"size": "-1"}, wanted),
            "pax path that leads out": pax({"path": f"../../{wanted}"}, wanted),
        }
        made |= {f"{set_}: {kind}": {first(set_): hurt} for kind, hurt in changes.items()}
    cifar = cifar_members(small("cifar-100"))
    record = 2 + 60
    hurt = bytearray(cifar["cifar-100-binary/train.bin"])
    hurt[3 * record + 1] = 100
    made["cifar-100: label 100"] = {first("cifar-100"): tarred({**cifar, "cifar-100-binary/train.bin": bytes(hurt)})}
    made["cifar-100: stranger that is a bomb"] = {first("cifar-100"): gzip_bomb(5000, bare_header("bomb", 5000 << 20))}
    for value in (0, 11, 255):
        labels = bytes([1, value, 3, 4, 5, 6])
        members = {**stl_members(small("stl-10")), "stl10_binary/train_y.bin": labels}
        made[f"stl-10: label {value}"] = {first("stl-10"): tarred(members)}
    return made


def patched(archive: bytes, at: int, form: str, value: int) -> bytes:
    """A field of the first entry of a zip's central directory changed."""
    place = archive.index(b"PK\1\2") + at
    return archive[:place] + struct.pack(form, value) + archive[place + struct.calcsize(form) :]


def many_entries(count: int) -> bytes:
    """A zip whose directory has very many entries for one member."""
    whole = zipped({"a": b"x"})
    start = whole.index(b"PK\1\2")
    entry = whole[start : whole.index(b"PK\5\6")]
    directory = entry * count
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(directory), start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start + len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return whole[:start] + directory + end64 + locator + end


def zip_cases() -> dict[str, dict[str, bytes]]:
    entry = small("emnist-letters")
    members, name = emnist_members(entry), entry.files[0].name
    images, labels = "gzip/emnist-letters-train-images-idx3-ubyte.gz", "gzip/emnist-letters-train-labels-idx1-ubyte.gz"
    whole = zipped(members)
    plain = gzip.decompress(members[images])
    others = {n: d for n, d in members.items() if n != images}
    link = zipfile.ZipInfo(images)
    link.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        for other, data in others.items():
            archive.writestr(other, data)
    lzma_made = bytearray(zipped(members, zipfile.ZIP_LZMA))
    properties = lzma_made.index(b"\x09\x04\x05\x00")
    huge = bytearray(lzma_made)
    huge[properties + 5 : properties + 9] = b"\xff" * 4
    broken = bytearray(lzma_made)
    broken[properties + 12 : properties + 40] = b"\xff" * 28
    bomb = zeros(900)
    big = zipped({images: b"x"}, zipfile.ZIP_STORED, *others.items())
    deflated = zipped({images: bytes(70_000)})
    changes = {
        "empty": b"",
        "no archive": b"[/red]\x1b[2J" * 1000,
        "cut": whole[: len(whole) // 2],
        "without its directory": whole[: whole.index(b"PK\1\2")],
        "member missing": zipped(others),
        "leads out": zipped({**others, f"../{images}": members[images]}),
        "from the root": zipped({**others, f"/{images}": members[images]}),
        "a link": out.getvalue(),
        "a folder": zipped({**others, f"{images}/": b""}),
        "member no gzip": zipped({**members, images: b"\x1b[2J[/red]"}),
        "member is plain IDX": zipped({**members, images: plain[:-1]}),
        "member empty": zipped({**members, images: b""}),
        "member cut": zipped({**members, images: members[images][:-100]}),
        "member of the wrong magic": zipped({**members, images: gzip.compress(b"\0\0\x09" + plain[3:])}),
        "member of a gigantic header": zipped({**members, images: gzip.compress(idx((2**32 - 1,) * 3, plain[16:]))}),
        "member of another shape": zipped({**members, images: gzip.compress(idx((12, 14, 28), plain[16:]))}),
        "member a byte short": zipped({**members, images: gzip.compress(plain[:-1])}),
        "member a byte long": zipped({**members, images: gzip.compress(plain + b"\0")}),
        "gzip bomb in it": zipped({**members, images: gzip_bomb(3, plain[:16])}),
        "gzip bomb packed again": zipped({**members, images: gzip_bomb(2000, plain[:16])}),
        "zip bomb": zipped({**members, images: bytes(50 << 20)}),
        "promises 4 GiB": patched(big, 24, "<I", 2**32 - 2),
        "promises the impossible": patched(big, 24, "<I", 9000),
        "says less than it has": patched(patched(deflated, 24, "<I", 100), 20, "<I", 100),
        "offset behind the end": patched(whole, 42, "<I", 2**31),
        "offset to another member": patched(whole, 42, "<I", whole.index(b"PK\3\4", 10)),
        "wrong sum": patched(whole, 16, "<I", 12345),
        "encrypted": patched(whole, 8, "<H", 1),
        "unknown method": patched(whole, 10, "<H", 99),
        "newer version": patched(whole, 6, "<H", 200),
        "method is not the one": patched(whole, 10, "<H", zipfile.ZIP_BZIP2),
        "method stored but it is not": patched(whole, 10, "<H", zipfile.ZIP_STORED),
        "lzma damaged": bytes(broken),
        "lzma of 4 GiB": bytes(huge),
        "very many entries": many_entries(150_000),
        "deflate bomb": patched(patched(_with_raw(images, bomb), 24, "<I", 900 << 20), 20, "<I", len(bomb)),
    }
    made = {f"emnist: {kind}": {name: data} for kind, data in changes.items()}
    for value in (0, 27, 255):
        hurt = {**members, labels: gzip.compress(idx((6,), bytes([1, value, 3, 4, 5, 6])))}
        made[f"emnist: label {value}"] = {name: zipped(hurt)}
    return made


def _with_raw(name: str, raw: bytes) -> bytes:
    """A zip with this deflate stream in it."""
    made = zipped({name: b""}, zipfile.ZIP_DEFLATED)
    start = made.index(b"PK\1\2")
    head = 30 + len(name)
    body = made[:head] + raw
    end = bytearray(made[start:])
    end[-6:-2] = struct.pack("<I", len(body))
    return body + bytes(end)


def mat_cases() -> dict[str, dict[str, bytes]]:
    entry, files = given("svhn")
    name = entry.files[0].name
    images, labels = content_of(entry)[0]
    x = matrix("X", images.transpose(2, 3, 1, 0))
    shown = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
    y = matrix("y", shown)

    flags, name_x = element(6, struct.pack("<II", 9, 0)), element(1, b"X")

    def labelled(values: list[float], type_: str = "u1") -> bytes:
        return mat(x, matrix("y", np.array(values, type_)[:, None]))

    changes = {
        "empty": b"",
        "header only": mat(),
        "no MATLAB file": b"[/red]\x1b[2J".ljust(500),
        "of a big-endian machine": mat(x, y, mark=b"\x01\x00MI"),
        "version 7.3": b"\x89HDF\r\n\x1a\n" + bytes(600),
        "no y": mat(x),
        "no X": mat(y),
        "X of three dimensions": mat(matrix("X", images.transpose(2, 3, 1, 0).reshape(5, 4, 18)), y),
        "X of doubles": mat(matrix("X", images.transpose(2, 3, 1, 0).astype("f8")), y),
        "X turned": mat(matrix("X", images), y),
        "a picture too few": mat(matrix("X", images[1:].transpose(2, 3, 1, 0)), y),
        "a label too few": mat(x, matrix("y", shown[1:])),
        "no pictures": mat(matrix("X", images[:0].transpose(2, 3, 1, 0)), matrix("y", shown[:0])),
        "cut": mat(x, y)[:-30],
        "cut in X": mat(x, y)[:300],
        "compressed and cut": mat(packed(x), packed(y))[:-20],
        "longer than the file": mat(element(14, b"12345678", 2**32 - 1)),
        "compressed longer than the file": mat(element(15, zlib.compress(x), 2**31)),
        "inner longer than the outer": mat(element(14, element(6, bytes(8), 2**20))),
        "compressed nothing": mat(packed(b"")),
        "compressed noise": mat(element(15, b"\x78\x9c" + b"noise" * 20)),
        "compressed twice": mat(packed(packed(x)), packed(y)),
        "dimensions too large": mat(matrix("X", images, dims=(2**31 - 1,) * 4), y),
        "dimensions negative": mat(matrix("X", images, dims=(-6, -3, 5, 4)), y),
        "40 dimensions": mat(matrix("X", images, dims=(1,) * 39 + (360,)), y),
        "dimensions cut": mat(element(14, flags + element(5, b"12345") + name_x + element(2, b"1")), y),
        "no flags": mat(element(14, element(6, b"") + element(5, b"\1\0\0\0") + element(1, b"X") + element(2, b"1")), y),
        "of an unknown type": mat(element(14, flags + element(5, b"\0\0\0\1") + name_x + element(99, bytes(8))), y),
        "only a flag": mat(element(14, element(6, bytes(8)))),
        "cells": mat(matrix("X", images, class_=1), y),
        "bomb": mat(struct.pack("<II", 15, len(b := b"\x78\x9c" + zeros(2000))) + b),
        "many bombs": mat(*[struct.pack("<II", 15, len(b := b"\x78\x9c" + zeros(1))) + b for _ in range(300)]),
        "very many small elements": mat(bytes(1_000_000)),
        "name with escape codes": mat(x, matrix("y\x1b[2J[/red]", shown)),
        "label 0": labelled([1, 2, 0, 4, 5, 6]),
        "label 11": labelled([1, 2, 11, 4, 5, 6]),
        "label 20": labelled([1, 2, 20, 4, 5, 6]),
        "label 255": labelled([1, 2, 255, 4, 5, 6]),
        "label -1": labelled([1, 2, -1, 4, 5, 6], "i1"),
        "label 1.5": labelled([1, 2, 1.5, 4, 5, 6], "f8"),
        "label not a number": labelled([1, 2, np.nan, 4, 5, 6], "f8"),
        "label infinite": labelled([1, 2, np.inf, 4, 5, 6], "f4"),
    }  # fmt: skip
    return {f"svhn: {kind}": {**files, name: data} for kind, data in changes.items()}


HOSTILE = {**idx_cases(), **qmnist_cases(), **libsvm_cases(), **tar_cases(), **zip_cases(), **mat_cases()}


def entry_of(kind: str) -> Entry:
    name = kind.split(maxsplit=1)[0].rstrip(":")
    return small("emnist-letters" if name == "emnist" else name)


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_not_right_is_one_sentence_and_leaves_nothing(paths: Paths, tmp_path: Path, kind: str) -> None:
    refused(paths, entry_of(kind), lay(tmp_path / "files", HOSTILE[kind]))
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "home") == ["files"]


@pytest.mark.parametrize("name", [n for n in SHAPES if n != "cifar-10"])
def test_a_file_whose_name_would_speak_to_the_terminal_does_not(paths: Paths, tmp_path: Path, name: str) -> None:
    entry = small(name)
    files = {}
    for file in entry.files:
        files[file.name] = tmp_path / f"[red]\x1b[2J\u202e\n{file.name}"
        files[file.name].write_bytes(b"[bold]\x1b]0;title\x07")
    refused(paths, entry, files)


FUZZED = [n for n in SHAPES if n != "cifar-10"]


@pytest.mark.parametrize("name", FUZZED)
def test_random_damage_is_a_sentence_or_harmless(paths: Paths, tmp_path: Path, name: str) -> None:
    """The files were compared with their hashes before; whatever still comes must not be a traceback."""
    rng, entry = random.Random(name), small(name)
    whole = files_of(entry)
    for _ in range(60):
        file = rng.choice(list(whole))
        hurt = bytearray(whole[file])
        for _ in range(rng.choice((1, 3, 20))):
            hurt[rng.randrange(len(hurt))] = rng.randrange(256)
        if rng.random() < 0.3:
            del hurt[rng.randrange(len(hurt)) :]
        files = lay(tmp_path / "files", {**whole, file: bytes(hurt)})
        try:
            decoded(paths.datasets, entry, files)
        except DataError as error:
            assert str(error).isprintable() and len(str(error)) < 500


@pytest.mark.parametrize("name", ["kmnist", "usps", "cifar-100", "svhn", "emnist-letters"])
def test_damage_before_the_packing_is_a_sentence_or_harmless(paths: Paths, tmp_path: Path, name: str) -> None:
    """The same, of what lies within: headers of members and arrays."""
    rng, entry = random.Random(name), small(name)
    whole = files_of(entry)
    for _ in range(60):
        file = rng.choice(list(whole))
        packed_ = whole[file]
        if entry.format == "svhn":
            parts = [packed(_hurt(rng, m)) for m in _matrices(entry)]
            hurt = mat(*parts)
        elif entry.format == "emnist":
            hurt = zipped({n: gzip.compress(_hurt(rng, gzip.decompress(d))) for n, d in emnist_members(entry).items()})
        elif file.endswith("bz2"):
            hurt = bz2.compress(_hurt(rng, bz2.decompress(packed_)))
        else:
            hurt = gzip.compress(_hurt(rng, gzip.decompress(packed_)), 1)
        try:
            decoded(paths.datasets, entry, lay(tmp_path / "files", {**whole, file: hurt}))
        except DataError as error:
            assert str(error).isprintable() and len(str(error)) < 500


def _matrices(entry: Entry) -> tuple[bytes, bytes]:
    images, labels = content_of(entry)[0]
    return matrix("X", images.transpose(2, 3, 1, 0)), matrix("y", np.where(labels == 0, 10, labels).astype(np.uint8)[:, None])


def _hurt(rng: random.Random, data: bytes) -> bytes:
    """Bytes changed, most of them near the beginning, where headers are."""
    hurt = bytearray(data)
    for _ in range(rng.choice((1, 2, 5))):
        at = rng.randrange(min(len(hurt), 600)) if rng.random() < 0.8 else rng.randrange(len(hurt))
        hurt[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(hurt)


@pytest.mark.parametrize("name", ["cifar-100", "emnist-letters"])
def test_of_a_member_that_comes_twice_the_set_is_refused_or_one_of_them_is_taken_whole(
    paths: Paths, tmp_path: Path, name: str
) -> None:
    entry = small(name)
    whole, other = (cifar_members(entry), tarred) if name == "cifar-100" else (emnist_members(entry), zipped)
    key = next(n for n in whole if "train" in n)
    second = whole[key][:-62] + bytes(62) if name == "cifar-100" else gzip.compress(idx((6, 28, 28), bytes(6 * 784)))
    if other is tarred:
        data = tarred(whole, "w:gz", (member(key, second), second))
    else:
        data = zipped(whole, zipfile.ZIP_DEFLATED, (key, second))
    files = lay(tmp_path / "files", {entry.files[0].name: data})
    try:
        found = prepared.open_set(decoded(paths.datasets, entry, files)).train.inputs
    except DataError as error:
        assert str(error).isprintable()
    else:
        first_, last = content_of(entry)[0][0], content_of(entry)[0][0].copy()
        last[-1 if name == "cifar-100" else slice(None)] = 0
        assert np.array_equal(found, first_) or np.array_equal(found, last)


@pytest.mark.parametrize("kind", ["fifo", "folder", "dangling", "endless", "missing"])
@pytest.mark.parametrize("name", [n for n in SHAPES if n != "cifar-10"])
def test_what_is_no_file_is_refused_at_once_when_it_is_imported(paths: Paths, tmp_path: Path, name: str, kind: str) -> None:
    source = tmp_path / "copied"
    source.mkdir()
    for file in catalog.ENTRIES[name].files:
        match kind:
            case "fifo":
                os.mkfifo(source / file.name)
            case "folder":
                (source / file.name).mkdir()
            case "dangling":
                (source / file.name).symlink_to(tmp_path / "nowhere")
            case "endless":
                (source / file.name).symlink_to("/dev/zero")
    with fence(), pytest.raises(DataError) as caught:
        importing.import_folder(paths, name, source)
    assert str(caught.value).isprintable()
    assert library.state(paths, name).kind == library.ABSENT


@pytest.mark.parametrize("name", [n for n in SHAPES if n != "cifar-10"])
def test_another_file_of_the_right_name_is_refused_when_it_is_imported(paths: Paths, tmp_path: Path, name: str) -> None:
    lay(tmp_path / "copied", files_of(small(name)))
    with fence(), pytest.raises(DataError, match="is not the file of the origin") as caught:
        importing.import_folder(paths, name, tmp_path / "copied")
    assert str(caught.value).isprintable() and not os.listdir(paths.datasets)


def test_a_set_is_imported_when_its_files_are_those_of_the_catalog(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By SHA-256; and where the origin has published an MD5 only, the SHA-256 that was seen first holds from then on."""
    import hashlib

    entry = small("usps")
    made = files_of(entry)
    files = tuple(replace(f, md5=hashlib.md5(made[f.name]).hexdigest()) for f in entry.files)
    monkeypatch.setitem(catalog.ENTRIES, "usps", replace(entry, files=files))
    lay(tmp_path / "copied", made)
    importing.import_folder(paths, "usps", tmp_path / "copied")
    assert np.array_equal(library.load(paths, "usps").train.inputs, content_of(entry)[0][0])
    known = (paths.datasets / "known-hashes.json").read_bytes()
    assert hashlib.sha256(made["usps.bz2"]).hexdigest().encode() in known
    library.remove(paths, "usps")
    importing.import_folder(paths, "usps", tmp_path / "copied")
    assert (paths.datasets / "known-hashes.json").read_bytes() == known
    library.remove(paths, "usps")
    other = bz2.compress(bz2.decompress(made["usps.bz2"]), 1)
    assert other != made["usps.bz2"]
    changed = tuple(replace(f, md5=hashlib.md5(other).hexdigest()) if f.name == "usps.bz2" else f for f in files)
    monkeypatch.setitem(catalog.ENTRIES, "usps", replace(entry, files=changed))
    (tmp_path / "copied" / "usps.bz2").write_bytes(other)
    with pytest.raises(DataError, match="is not the file of its first download"):
        importing.import_folder(paths, "usps", tmp_path / "copied")
