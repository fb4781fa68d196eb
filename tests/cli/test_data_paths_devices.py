"""`mlptui data`, `paths` and `devices`."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlptui.datasets import catalog
from mlptui.devices import gpu
from mlptui.store import paths

Command = Callable[..., Any]


def test_the_sample_is_here_from_the_start_and_is_the_default(mlptui: Command) -> None:
    rows = {row["name"]: row for row in mlptui("data", "list", "--json").json}

    assert rows["fashion-mnist-sample"].items() >= {"here": True, "default": True, "train": 6000, "test": 1000}.items()
    assert rows["fashion-mnist"].items() >= {"here": False, "default": False, "train": 60_000, "licence": "MIT"}.items()
    table = mlptui("data", "list")
    assert "fashion-mnist-sample  here, default" in table.out
    assert table.err == ""


def test_an_import_makes_the_whole_set_the_default(mlptui: Command, fashion_mnist: Path) -> None:
    said = mlptui("data", "import", "fashion-mnist", str(fashion_mnist), "--json")

    assert said.code == 0
    assert said.json == {"name": "fashion-mnist", "folder": str(paths.find().datasets / "fashion-mnist")}
    assert "checking train-images-idx3-ubyte" in said.err
    rows = {row["name"]: row for row in mlptui("data", "list", "--json").json}
    assert rows["fashion-mnist"]["default"]
    assert 'name = "fashion-mnist"\n' in mlptui("train", "--dry-run").out
    again = mlptui("data", "import", "fashion-mnist", str(fashion_mnist))
    assert again.code == 0
    assert "here already and whole" in again.err


@pytest.mark.parametrize(
    ("name", "folder", "message"),
    [
        ("fashion-mnist", "/nowhere", "is not a folder"),
        ("cifar-99", "/tmp", "there is no data set 'cifar-99' in the catalog; 'mlptui data list' shows all"),
        ("fashion-mnist-sample", "/tmp", "there is nothing to import"),
        ("\x1b[31m", "/tmp", "there is no data set"),
        ("fashion-mnist", "/no\x1b]0;t\x07where", "is not a folder"),
    ],
)
def test_an_import_that_cannot_be_is_one_sentence_and_changes_nothing(
    mlptui: Command, name: str, folder: str, message: str
) -> None:
    said = mlptui("data", "import", name, folder)

    assert (said.code, said.out) == (1, "")
    assert message in said.err
    assert len(said.err.splitlines()) == 1
    assert "\x1b" not in said.err
    datasets = paths.find().datasets
    assert not datasets.exists() or os.listdir(datasets) == [".jobs"]  # what says that somebody works on it


def test_the_files_of_the_sample_are_not_taken_for_the_whole_set(mlptui: Command, tmp_path: Path) -> None:
    shutil.copytree(catalog.SAMPLE_FOLDER, tmp_path / "files")

    said = mlptui("data", "import", "fashion-mnist", str(tmp_path / "files"))

    assert said.code == 1
    assert "train-images-idx3-ubyte.gz" in said.err
    assert not (paths.find().datasets / "fashion-mnist").exists()


def test_paths_are_all_under_the_home_that_the_environment_names(mlptui: Command, home: Path) -> None:
    named = mlptui("paths", "--json").json

    assert named["runs"] == str(home / "runs")
    assert set(named) == {"runs", "saved", "datasets", "trash", "settings", "error_log"}
    assert all(Path(place).is_relative_to(home) for place in named.values())
    assert str(home / "runs") in mlptui("paths").out
    assert not home.exists()


def test_a_long_path_is_shown_whole(mlptui: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / ("long" * 30)
    monkeypatch.setenv("MLPTUI_HOME", str(home))

    assert f"{home}/runs\n" in mlptui("paths").out


def test_escape_codes_in_the_home_never_reach_the_terminal(
    mlptui: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLPTUI_HOME", str(tmp_path / "ho\x1b[31mme"))

    for words in (["paths"], ["paths", "--json"], ["runs", "list"], ["runs", "show", "last"], ["data", "list", "--json"]):
        said = mlptui(*words)
        assert "\x1b" not in said.out + said.err


def test_devices_show_the_processor_and_why_there_is_no_gpu(mlptui: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "read", lambda: gpu.Gpus(reason="no NVIDIA driver here; check with: nvidia-smi"))

    said = mlptui("devices")
    facts = mlptui("devices", "--json").json

    assert said.code == 0
    assert "gpu     no NVIDIA driver here; check with: nvidia-smi" in said.out
    assert facts["cpu"]["threads"] >= facts["cpu"]["usable"] >= 1
    assert facts["gpus"] == []


def test_devices_show_each_gpu_and_hide_what_the_driver_does_not_say(mlptui: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    process = gpu.GpuProcess(77, "ada\x1b[31m", "python\x07", 10**9)
    full = gpu.Gpu(0, "GPU-1a", "NVIDIA \x1b]0;x\x07H200", 2 * 10**11, 10**9, 0.5, 40, 100.0, 700.0, "P0", (process,))
    bare = gpu.Gpu(1, "GPU-2b", "old one", None, None, None, None, None, None, "", ())
    monkeypatch.setattr(gpu, "read", lambda: gpu.Gpus((full, bare), "580.1"))

    said = mlptui("devices")

    assert "cuda:0" in said.out
    assert "busy 50%" in said.out
    assert "1.00 GB of 200 GB" in said.out
    assert "cuda:1" in said.out
    assert "busy -" in said.out
    assert "\x1b" not in said.out
    assert "\x07" not in said.out
    assert mlptui("devices", "--json").json["gpus"][1]["memory_total"] is None


def test_a_gpu_whose_driver_does_not_say_its_power_shows_no_made_up_watts(
    mlptui: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = gpu.Gpu(1, "GPU-2b", "old one", None, None, None, None, None, None, "", ())
    monkeypatch.setattr(gpu, "read", lambda: gpu.Gpus((bare,), "580.1"))

    assert "0 W" not in mlptui("devices").out
