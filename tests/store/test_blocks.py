"""Where a file of a checkpoint is damaged."""

import random
from pathlib import Path

import pytest
from tensors import tensor_file

from mlptui.core.errors import CheckpointError
from mlptui.store import blocks, checkpoints

SIZES = (0, 1, 4095, 4096, 4097, 1 << 20, (1 << 20) + 1, 3_000_000)


@pytest.mark.parametrize("size", SIZES)
def test_at_most_256_blocks_and_a_whole_file_differs_nowhere(size: int) -> None:
    data = random.Random(size).randbytes(size)
    written = blocks.sums(data)
    assert len(written["crc32"]) <= 8 * blocks.MOST
    assert blocks.differing(data, written) == []


@pytest.mark.parametrize("size", SIZES[1:])
def test_every_damaged_byte_lies_in_a_range_that_is_named_and_no_other_block_does(size: int) -> None:
    rng = random.Random(size)
    data = rng.randbytes(size)
    written = blocks.sums(data)
    for count in (1, 2, 5):
        hurt, places = bytearray(data), [rng.randrange(size) for _ in range(count)]
        for place in set(places):
            hurt[place] ^= 1 << rng.randrange(8)
        found = blocks.differing(bytes(hurt), written)
        assert all(any(place in r for r in found) for place in places)
        assert sum(map(len, found)) <= count * written["block"]


@pytest.mark.parametrize(
    "written",
    [{}, {"block": 0, "crc32": ""}, {"block": -4096, "crc32": ""}, {"block": 4096}, {"block": "4096", "crc32": "00000000"},
     {"block": 4096, "crc32": 7}, {"block": 4096, "crc32": "00"}, {"block": 1, "crc32": "0" * 80_000}],
    ids=str,
)  # fmt: skip
def test_what_is_not_known_is_not_told(written: dict[str, object]) -> None:
    assert blocks.told(b"x" * 10_000, written) == ""


def test_a_damaged_checkpoint_is_named_with_file_bytes_and_tensor(tmp_path: Path) -> None:
    made = checkpoints.commit(tmp_path, 7, {"model.safetensors": tensor_file(first=4000, second=4000)}, {"metrics": {}})
    file = made.folder / "model.safetensors"
    whole = file.read_bytes()
    begin = 8 + int.from_bytes(whole[:8], "little")

    def said(place: int) -> str:
        hurt = bytearray(whole)
        hurt[place] ^= 1
        file.write_bytes(hurt)
        with pytest.raises(CheckpointError) as error:
            made.read("model.safetensors")
        return str(error.value)

    assert said(begin + 5000) == (
        "step-0000000007 is damaged: model.safetensors: bytes 4,096 to 8,191 (first) are not as they were written"
    )
    assert "bytes 28,672 to" in said(len(whole) - 1) and "(second)" in said(len(whole) - 1)
    assert "(first, second)" in said(begin + 16_100)
    assert "bytes 0 to 4,095 are not" in said(12)  # the header: no tensor can be named


def test_a_checkpoint_of_an_earlier_version_without_blocks_is_named_by_its_checksum(tmp_path: Path) -> None:
    made = checkpoints.commit(tmp_path, 7, {"model.safetensors": tensor_file(a=4)}, {"metrics": {}})
    entry = made.manifest["files"]["model.safetensors"]
    del entry["block"], entry["crc32"]
    file = made.folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(CheckpointError, match=r"model\.safetensors: its checksum is another"):
        made.read("model.safetensors")
