"""Build wheel and sdist, install the wheel into a clean venv that sees the packages of this one, and start it there."""

import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDED = ("mlptui/datasets/sample/train-images-idx3-ubyte.gz", "mlptui/datasets/sample/LICENSE", "mlptui/py.typed")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", place, ROOT], check=True, stdout=subprocess.DEVNULL
        )
        (wheel,) = place.glob("*.whl")
        (sdist,) = place.glob("*.tar.gz")
        with zipfile.ZipFile(wheel) as archive:
            missing = set(NEEDED) - set(archive.namelist())
        assert not missing, f"the wheel lacks {missing}"
        environment = place / "venv"
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
        site = next((environment / "lib").glob("python*")) / "site-packages"
        (site / "seen.pth").write_text(sysconfig.get_path("purelib") + "\n")
        shown = _said([environment / "bin" / "mlptui", "--version"], place)
        found = Path(_said([python, "-P", "-c", "import mlptui.version as v; print(v.__file__)"], place))
        assert site.resolve() in found.resolve().parents, f"another mlptui was started: {found}"
        print(f"{wheel.name} ({wheel.stat().st_size:,} bytes) and {sdist.name} are built; installed, it says: {shown}")


def _said(command: list[object], folder: Path) -> str:
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, capture_output=True, text=True, cwd=folder).stdout.strip()


if __name__ == "__main__":
    main()
