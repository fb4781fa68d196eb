"""All benchmarks by one command: `make bench`, or `python -m benchmarks [NAME ...]`.

Each prints one line with what was measured beside what is required, and appends it with the machine's description to
benchmarks/results/. Ratios come from one run in which both sides take turns, because machines are shared and noisy.
"""

import argparse
import json
import platform
import sys
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

NAMES = (
    "accuracy",
    "epoch",
    "attached",
    "startup",
    "paint",
    "runs_list",
    "saves",
    "data",
    "keys",
    "model",
    "params",
    "checkpoints",
    "files",
)
RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, object]:
    from mlptui.devices import cpu, gpu

    processor = cpu.CpuReader().read()
    return {
        "cpu": processor.name,
        "threads": processor.usable,
        "memory": processor.memory_total,
        "gpus": [g.name for g in gpu.read().gpus],
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "textual", "numpy", "pydantic", "safetensors")},
    }


def main() -> int:
    parser = argparse.ArgumentParser("benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which; none: all")
    parser.add_argument("--data", type=Path, help="folder with the four original Fashion-MNIST files")
    parser.add_argument("--rounds", type=int, default=3, help="how often both sides take turns")
    options = parser.parse_args()
    facts = machine()
    print(json.dumps(facts))
    rows = []
    for name in options.names or NAMES:
        started = time.perf_counter()
        for row in import_module(f"benchmarks.{name}").measure(options):
            rows.append({"benchmark": name, **row})
            print(f"{name:<10} {row['what']:<70} {row['measured']:<28} required {row['required']}", flush=True)
        print(f"{name:<10} took {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"{time.strftime('%Y-%m-%d')}-{platform.node() or 'machine'}.json"
    known = json.loads(target.read_text())["rows"] if target.exists() else []
    kept = [row for row in known if row["benchmark"] not in {r["benchmark"] for r in rows}]
    target.write_text(json.dumps({"machine": facts, "rows": kept + rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
