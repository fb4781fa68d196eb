"""Test accuracy of 784-256-10 on the whole of Fashion-MNIST: SGD 0.1, batch 256, 10 epochs, standardised pixels."""

from argparse import Namespace
from collections.abc import Iterator

from benchmarks.common import home, train
from mlptui.core.events import Kind

SETTING = ("--data", "fashion-mnist", "--validation", "0", "--epochs", "10", "--lr", "0.1", "--batch-size", "256")


def accuracy(folder, *options: str) -> float:  # type: ignore[no-untyped-def]
    events = train(folder, *SETTING, *options)
    return next(float(event["test_accuracy"]) for event in events if event.kind == Kind.TESTED)


def measure(options: Namespace) -> Iterator[dict[str, str]]:
    with home(options) as folder:
        exact = [accuracy(folder, "--seed", str(seed)) for seed in range(3)]
        rounded = [accuracy(folder, "--seed", str(seed), "--precision", "bfloat16") for seed in range(3)]
    yield {
        "what": "test accuracy, float32, seeds 0 1 2",
        "measured": " ".join(f"{a:.4f}" for a in exact),
        "required": ">= 0.87 each",
    }
    apart = (sum(rounded) - sum(exact)) / 3 * 100
    yield {
        "what": "test accuracy, bfloat16, seeds 0 1 2 (mean against float32)",
        "measured": " ".join(f"{a:.4f}" for a in rounded) + f" ({apart:+.2f} points)",
        "required": "within 0.5 points",
    }
