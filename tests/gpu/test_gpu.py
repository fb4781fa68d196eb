"""What only a machine with an NVIDIA GPU can show; skipped, with the driver's own reason, everywhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlptui.core.status import Status
from mlptui.devices import choice, gpu
from mlptui.store import checkpoints, rundir
from mlptui.store.eventlog import read_events
from mlptui.store.paths import Paths
from mlptui.store.rundir import Run

FOUND = gpu.read()
pytestmark = [pytest.mark.gpu, pytest.mark.process, pytest.mark.skipif(not FOUND.gpus, reason=FOUND.reason or "no GPU")]
SHORT = ("--data", "fashion-mnist-sample", "--epochs", "3", "--checkpoint-steps", "7", "--wait")


def train(home: Path, *options: str) -> Run:
    words = [sys.executable, "-m", "mlptui", "train", *SHORT, *options]
    subprocess.run(words, check=True, env={**os.environ, "MLPTUI_HOME": str(home)}, capture_output=True)
    return rundir.all_runs(Paths(home, home, home))[0]


def test_every_gpu_says_its_name_memory_and_uuid() -> None:
    for one in FOUND.gpus:
        assert one.name and one.uuid.startswith("GPU-")
        assert one.memory_total and one.memory_used is not None and 0 <= one.memory_used <= one.memory_total
        assert choice.environment(one.uuid)["CUDA_VISIBLE_DEVICES"] == one.uuid


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_a_run_trains_on_the_gpu_and_learns(home: Path, optimizer: str, precision: str) -> None:
    run = train(home, "--device", "cuda:0", "--optimizer", optimizer, "--precision", precision)
    state = run.state()
    assert state.status == Status.FINISHED and state.device.startswith("cuda:0 ")
    assert state.test_accuracy is not None and state.test_accuracy > 0.6
    saved, passed = checkpoints.newest_verified(run.checkpoints)
    assert saved and saved.step == state.step and not passed


def test_auto_takes_a_gpu_where_there_is_one(home: Path) -> None:
    assert train(home).state().device.startswith("cuda:")


def test_a_loss_that_diverges_on_the_gpu_names_a_layer(home: Path) -> None:
    words = [sys.executable, "-m", "mlptui", "train", *SHORT, "--device", "cuda:0", "--lr", "9999"]
    done = subprocess.run(words, env={**os.environ, "MLPTUI_HOME": str(home)}, capture_output=True, check=False)
    assert done.returncode == 1
    (run,) = rundir.all_runs(Paths(home, home, home))
    (event,) = [e for e in read_events(run.events_file) if e.kind == "diverged"]
    assert "layer" in str(event["reason"])


@pytest.mark.parametrize("augmented", [False, True])
def test_streamed_batches_on_the_gpu_are_the_resident_ones(augmented: bool) -> None:
    import numpy as np
    import torch

    from mlptui.datasets.augment import Augmentation
    from mlptui.engine.augment import Augmenter
    from mlptui.engine.batches import Normaliser, ResidentBatches, Samples, StreamedBatches

    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (1000, 1, 28, 28), np.uint8)
    samples = Samples(images, torch.from_numpy(rng.integers(0, 10, 1000)), np.arange(0, 1000, 2))
    samples = Samples(images, samples.targets[: len(samples.chosen)], samples.chosen)
    device = torch.device("cuda", 0)
    augment = Augmenter(Augmentation(shift=2, flip=True, crop=0.1), 5) if augmented else None
    both = [kind(samples, device, 64, 3, Normaliser(), augment=augment) for kind in (ResidentBatches, StreamedBatches)]
    for one, other in zip(both[0].epoch(2), both[1].epoch(2), strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
