"""From the device that is asked for to what the trainer sees."""

import pytest

from mlptui.core.errors import DeviceError
from mlptui.devices import gpu
from mlptui.devices.choice import environment
from mlptui.devices.gpu import Gpu, Gpus

GB = 10**9


def card(index: int, uuid: str, total: int | None = 80 * GB, used: int | None = 0) -> Gpu:
    return Gpu(index, uuid, f"card {index}", total, used, 0.5, 40, 100.0, 700.0, "P0", ())


FULL = card(0, "GPU-aaaa-1111", used=70 * GB)
FREE = card(1, "GPU-aaaa-2222", used=10 * GB)
MUTE = card(2, "GPU-bbbb-3333", total=None, used=None)
THREE = Gpus((FULL, FREE, MUTE), "580.1")
NONE = Gpus(reason="no NVIDIA driver here (Not Found); check with: nvidia-smi")


@pytest.mark.parametrize(
    ("wanted", "gpus", "visible"),
    [
        ("cpu", THREE, ""),
        ("cpu", NONE, ""),
        ("mps", THREE, ""),
        ("auto", THREE, FREE.uuid),
        ("auto", Gpus((MUTE,)), MUTE.uuid),
        ("cuda", THREE, FULL.uuid),
        ("cuda:0", THREE, FULL.uuid),
        ("cuda:1", THREE, FREE.uuid),
        ("cuda:2", THREE, MUTE.uuid),
        ("GPU-aaaa-2222", THREE, FREE.uuid),
        ("GPU-bbbb", THREE, MUTE.uuid),
        ("MIG-whatever", NONE, "MIG-whatever"),
    ],
)
def test_the_trainer_sees_the_device_that_was_asked_for(wanted: str, gpus: Gpus, visible: str) -> None:
    assert environment(wanted, gpus)["CUDA_VISIBLE_DEVICES"] == visible


def test_the_index_of_the_driver_is_handed_over_too() -> None:
    assert environment("GPU-bbbb", THREE)["MLPTUI_GPU_INDEX"] == "2"
    assert "MLPTUI_GPU_INDEX" not in environment("cpu", THREE)


def test_without_a_driver_auto_leaves_the_choice_to_torch() -> None:
    assert environment("auto", NONE) == {}


@pytest.mark.parametrize("wanted", ["cuda:3", "cuda:00", "cuda:-1", "GPU-cccc", "gpu0", "GPU-aaaa", "GPU-"])
def test_a_device_that_is_not_here_or_not_clear_is_refused_with_those_that_are(wanted: str) -> None:
    with pytest.raises(DeviceError, match="is not here: there are cuda:0, cuda:1, cuda:2"):
        environment(wanted, THREE)


@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "GPU-aaaa-1111"])
def test_without_a_driver_its_reason_is_the_answer(wanted: str) -> None:
    with pytest.raises(DeviceError, match="check with: nvidia-smi"):
        environment(wanted, NONE)


def test_a_whole_uuid_is_found_though_another_begins_with_it() -> None:
    short, long = card(0, "GPU-12"), card(1, "GPU-123")
    assert gpu.find("GPU-12", Gpus((long, short))) == short
    assert gpu.find("GPU-123", Gpus((short, long))) == long
    assert gpu.find("GPU-1", Gpus((short, long))) is None
    assert gpu.find("", THREE) is None


def test_free_memory_is_known_only_where_both_numbers_are() -> None:
    assert FREE.memory_free == 70 * GB
    assert MUTE.memory_free is None and card(0, "x", used=None).memory_free is None
