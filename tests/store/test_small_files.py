"""Settings, paths, atomic writes, and what is known of this host."""

import errno
import os
import stat
from pathlib import Path

import pytest
from forks import exit_code, fork

from mlptui.core.errors import StorageError
from mlptui.store import atomic, choices, host, paths, settings
from mlptui.store.settings import Settings


def test_settings_come_back_as_they_were(tmp_path: Path) -> None:
    wanted = Settings(theme="nord", ascii=True, mouse=True, device="GPU-1", keys={"quit": "ctrl+q,q", 'a"b': "x"})
    settings.write(tmp_path / "deep" / "settings.toml", wanted)
    assert settings.read(tmp_path / "deep" / "settings.toml") == wanted
    assert settings.read(tmp_path / "none.toml") == Settings()


@pytest.mark.parametrize(
    ("content", "said", "kept"),
    [
        (b"theme = ", "settings not read", {}),
        (b"\xff\xfe", "settings not read", {}),
        (b"a = " + b"[" * 5000, "settings not read", {}),
        (b"x = 1\n" * 300_000, "settings not read", {}),
        (b'theme = 5\nascii = true\ndevice = "cpu"', "theme must be text", {"ascii": True, "device": "cpu"}),
        (b'ascii = "yes"', "ascii must be true or false", {}),
        (b"keys = 3", "keys must be a table", {}),
        (b'[keys]\nquit = 5\nhelp = "f1"', "keys.quit must be text", {"keys": {"help": "f1"}}),
        (b"colour = 1\nfont = 2", "unknown setting 'colour'; unknown setting 'font'", {}),
    ],
    ids=range(9),
)
def test_bad_settings_are_told_and_the_rest_holds(tmp_path: Path, content: bytes, said: str, kept: dict[str, object]) -> None:
    (tmp_path / "settings.toml").write_bytes(content)
    found = settings.read(tmp_path / "settings.toml")
    assert said in found.problem
    assert found.but(problem="") == Settings(**kept)  # type: ignore[arg-type]


def test_settings_that_are_no_file_are_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link", "."):
        assert settings.read(tmp_path / name).problem.startswith("settings not read")


def test_everything_lies_under_mlptui_home(home: Path) -> None:
    found = paths.find()
    assert found.runs == home / "runs"
    assert all(place.is_relative_to(home) for place in found.named().values())
    assert not home.exists()


@pytest.mark.parametrize("value", ["relative/x", "~/x", "~no-such-user/x", "~"])
def test_any_home_is_an_absolute_folder(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("MLPTUI_HOME", value)
    assert paths.find().data.is_absolute()


def test_without_mlptui_home_the_folders_of_the_system_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLPTUI_HOME")
    for name, folder in (("XDG_DATA_HOME", "d"), ("XDG_CONFIG_HOME", "c"), ("XDG_STATE_HOME", "s")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    found = paths.find()
    assert [p.name for p in (found.data, found.config, found.state)] == ["mlptui"] * 3


def test_a_failed_replace_leaves_the_old_content_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f"
    atomic.replace(path, b"old")

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "")

    for call in ("write", "fsync", "rename"):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, refuse)
            with pytest.raises(OSError, match="Errno 5"):
                atomic.replace(path, b"new")
        assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["f"]
    atomic.replace(path, b"new")
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_who_is_interrupted_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def stopped(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stopped)
    with pytest.raises(KeyboardInterrupt):
        atomic.replace(tmp_path / "a", b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_bytes() == b"old"


def test_a_new_file_never_replaces_or_follows_another(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    for name in ("f", "link"):
        with pytest.raises(FileExistsError):
            atomic.write_new(tmp_path / name, b"new")
    assert (tmp_path / "f").read_bytes() == b"old" and not (tmp_path / "other").exists()


def test_short_writes_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, bytes(data)[:7]))
    atomic.write_new(tmp_path / "f", bytes(range(256)))
    assert (tmp_path / "f").read_bytes() == bytes(range(256))


def test_reading_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"12345")
    assert atomic.read_regular(tmp_path / "f", 5) == b"12345"
    with pytest.raises(StorageError, match="5 bytes, more than the 4 expected"):
        atomic.read_regular(tmp_path / "f", 4)
    with pytest.raises(StorageError, match="not a regular file"):
        atomic.read_regular(Path("/dev/zero"), 4)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot make the folder"):
        atomic.make_folder(tmp_path / "f" / "g")
    with pytest.raises(StorageError, match="cannot make the folder"):
        atomic.make_folder(tmp_path / ("x" * 300))


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.ENOENT, errno.EIO, errno.ESTALE]
)
def test_reasons_are_plain_words(number: int) -> None:
    words = atomic.reason(OSError(number, os.strerror(number)))
    assert words and "Errno" not in words and words != os.strerror(number)


def test_a_process_is_known_by_when_it_started() -> None:
    mine = host.process_start(os.getpid())
    assert mine and mine == host.process_start(os.getpid())
    assert host.process_start(999_999_999) is None


def test_a_zombie_has_no_start() -> None:
    pid = fork(lambda: 0)
    while host.process_start(pid) is not None:
        os.sched_yield()
    os.kill(pid, 0)
    assert exit_code(pid) == 0


def test_this_host_has_a_name_and_a_sender() -> None:
    assert host.host_name() and host.who().endswith(f"@{host.host_name()}")
    assert host.oom_kills() is None or host.oom_kills() >= 0  # type: ignore[operator]
    assert not host.on_network_storage(Path("/dev/shm"))
    assert not host.on_network_storage(Path("/no/such/place"))


def test_of_decisions_at_the_same_time_the_first_one_holds_for_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "choices.json"
    read, write = os.pipe()

    def decide(number: int) -> int:
        choices.remember(path, f"mine {number}", str(number))
        os.write(write, f"{choices.settle(path, 'which', str(number))}\n".encode())
        return 0

    pids = [fork(lambda number=i: decide(number)) for i in range(16)]  # type: ignore[misc]
    assert [exit_code(pid) for pid in pids] == [0] * 16
    os.close(write)
    with os.fdopen(read) as answers:
        said = answers.read().split()
    assert len(said) == 16 and set(said) == {choices.recall(path, "which")}
    assert [choices.recall(path, f"mine {i}") for i in range(16)] == [str(i) for i in range(16)], "and none loses another's"
