"""`mlptui devices`"""

import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.epilog = "GPUs are read by NVML, which opens no CUDA context.\n\nexample:\n  mlptui train --device cuda:1"
    parser.set_defaults(act=_show)


def _show(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from mlptui.cli import output
    from mlptui.core import text
    from mlptui.devices import cpu, gpu

    processor, gpus = cpu.CpuReader().read(), gpu.read()
    if options.json:
        output.as_json({"cpu": asdict(processor), **asdict(gpus)})
        return 0
    load = "-" if processor.load is None else " ".join(f"{x:.2f}" for x in processor.load)
    output.data(f"cpu     {text.safe(processor.name)}")
    output.data(
        f"        {processor.cores or '-'} cores, {processor.threads} threads ({processor.usable} usable), load {load}"
    )
    output.data(f"        memory {text.size(processor.memory_available)} available of {text.size(processor.memory_total)}")
    for g in gpus.gpus:
        busy = "-" if g.utilisation is None else f"{g.utilisation:.0%}"
        output.data(f"cuda:{g.index}  {text.safe(g.name)}  {text.safe(g.uuid)}")
        output.data(
            f"        memory {text.size(g.memory_used)} of {text.size(g.memory_total)}, busy {busy}, "
            f"{_told(g.temperature)} °C, {_told(g.power)} W of {_told(g.power_limit)} W, {g.performance_state or '-'}"
        )
        for p in g.processes:
            output.data(f"        {p.pid:>8}  {text.safe(p.user)}  {text.size(p.memory)}  {text.safe(p.name)}")
    if gpus.reason:
        output.data(f"gpu     {text.safe(gpus.reason)}")
    return 0


def _told(number: float | None) -> str:
    """A number as the driver told it; `-` where it did not."""
    return "-" if number is None else f"{number:.0f}"
