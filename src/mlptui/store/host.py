"""This machine and its processes, from /proc where there is one."""

import os
import socket
from functools import cache
from pathlib import Path


@cache
def host_name() -> str:
    return socket.gethostname()


@cache
def boot_id() -> str:
    """Names this boot of this machine; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def process_start(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None for no process, a zombie, or a system without /proc.

    Source: proc_pid_stat(5), fields 3 (state) and 22 (starttime).
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X", "x") else int(fields[19])


def oom_kills() -> int | None:
    """How many processes of this process's control group the kernel has killed for want of memory; None if unknown."""
    try:
        group = next(
            line[4:].strip() for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::/")
        )
        events = Path(f"/sys/fs/cgroup/{group}/memory.events").read_text().split()
        return int(events[events.index("oom_kill") + 1])
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def who() -> str:
    """The person behind a command, for the log: `ada@box`."""
    import getpass

    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = str(os.getuid())
    return f"{user}@{host_name()}"


def on_network_storage(path: Path) -> bool:
    """Whether the folder lies on NFS, SMB, 9p or the like (by /proc/mounts)."""
    network = {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "9p",
        "fuse.sshfs",
        "lustre",
        "beegfs",
        "ceph",
        "glusterfs",
        "gpfs",
    }
    try:
        mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
        real = str(path.resolve())
    except OSError:
        return False
    best = ("", "")
    for escaped, kind in mounts:
        point = escaped.replace("\\040", " ")
        if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) > len(best[0]):
            best = (point, kind)
    return best[1] in network
