"""Area 7: the processor and the GPUs, live."""

from collections.abc import Iterable

from textual.widget import Widget

from mlptui.core.text import size
from mlptui.devices import cpu, gpu
from mlptui.tui import keys
from mlptui.tui.desk import host, while_running
from mlptui.tui.keys import Key
from mlptui.tui.messages import DeviceChosen
from mlptui.tui.render import devices
from mlptui.tui.render.cells import Line
from mlptui.tui.render.devices import DeviceBlock, DeviceList, Process
from mlptui.tui.screens.area import AreaScreen
from mlptui.tui.widgets.cursor import CursorCanvas

INTERVAL = 1.0


class DeviceReader:
    """One look at everything, for a background thread."""

    def __init__(self) -> None:
        self._cpu = cpu.CpuReader()

    def read(self) -> tuple[cpu.Cpu, gpu.Gpus]:
        return self._cpu.read(), gpu.read()


def blocks(processor: cpu.Cpu, gpus: gpu.Gpus) -> tuple[DeviceBlock, ...]:
    load = "" if processor.load is None else ", load " + " ".join(f"{x:.2f}" for x in processor.load)
    total, available = processor.memory_total, processor.memory_available
    first = DeviceBlock(
        "cpu",
        processor.name,
        f"{processor.cores or '-'} cores, {processor.threads} threads, {processor.usable} usable{load}",
        total - available if total is not None and available is not None else None,
        total,
        processor.busy,
    )
    return (first, *(_gpu_block(g) for g in gpus.gpus))


def _gpu_block(g: gpu.Gpu) -> DeviceBlock:
    facts = [
        f"{g.temperature} °C" if g.temperature is not None else "",
        f"{g.power:.0f} W" + (f" of {g.power_limit:.0f} W" if g.power_limit else "") if g.power is not None else "",
        g.performance_state,
        f"{size(g.memory_free)} free" if g.memory_free is not None else "",
    ]
    processes = tuple(Process(p.pid, p.user, p.name, p.memory) for p in g.processes)
    words = ", ".join(f for f in facts if f)
    return DeviceBlock(f"cuda:{g.index}", g.name, words, g.memory_used, g.memory_total, g.utilisation, processes, g.uuid)


class DevicesCanvas(CursorCanvas):
    BINDINGS = keys.bindings(keys.DEVICES)
    DEFAULT_CSS = "DevicesCanvas { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__(id="devices")
        self.blocks: tuple[DeviceBlock, ...] = ()
        self.gpus = gpu.Gpus()

    def row_count(self) -> int:
        return len(self.blocks)

    def visible_rows(self) -> int:
        return max(1, len(self.blocks))

    def draw(self, width: int, height: int) -> list[Line]:
        chosen = host(self).desk.device
        view = DeviceList(self.blocks, chosen, self.cursor, self.gpus.reason, self.gpus.driver)
        return devices.draw(view, width, height, self.glyphs, self.has_focus)

    def show_devices(self, processor: cpu.Cpu, gpus: gpu.Gpus) -> None:
        self.blocks, self.gpus = blocks(processor, gpus), gpus
        self.redraw()

    def action_choose(self) -> None:
        if self.cursor < len(self.blocks):
            block = self.blocks[self.cursor]
            present = host(self).desk.device
            self.post_message(DeviceChosen("auto" if devices.is_chosen(block, present) else block.uuid or block.key))


class DevicesScreen(AreaScreen):
    NUMBER, NAME = 7, "Devices"
    WORDS = "What nvidia-smi prints, live, read by NVML: no CUDA context is opened and torch is not asked."

    def __init__(self) -> None:
        super().__init__()
        self._reader = DeviceReader()

    def body(self) -> Iterable[Widget]:
        yield DevicesCanvas()

    def panel_keys(self) -> list[Key]:
        return keys.DEVICES

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(DevicesCanvas).focus()
        self._read()
        self.set_interval(INTERVAL, while_running(self, self._tick))

    def _tick(self) -> None:
        if self.on_top:
            self._read()

    def _read(self) -> None:
        def done(found: object, error: Exception | None) -> None:
            if isinstance(found, tuple) and self.is_mounted:
                self.query_one(DevicesCanvas).show_devices(*found)

        host(self).background["devices"].submit(self._reader.read, done)
