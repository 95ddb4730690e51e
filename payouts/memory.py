"""The memory of this process, and of the place that it runs in: its control group, or the machine."""

import os
from dataclasses import dataclass
from pathlib import Path

_CGROUPS, _PROC = Path("/sys/fs/cgroup"), Path("/proc")


@dataclass(frozen=True, slots=True)
class Memory:
    """In bytes. None: the system does not tell."""

    resident_bytes: int | None
    """What this process holds."""
    used_bytes: int | None
    """What everything in the same place holds, without files that are only cached."""
    limit_bytes: int | None
    """What the place has: past it processes are killed."""
    place: str
    """`cgroup` or `machine`."""


def read_memory(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> Memory:
    """As it is now: a few small files of the kernel's, which takes well under a millisecond."""
    resident = _resident(proc)
    for folder in _groups(proc, cgroups):
        limit, current = _number(folder / "memory.max"), _number(folder / "memory.current")
        if limit is not None and current is not None:
            cached = _named(folder / "memory.stat", "inactive_file", 1) or 0
            return Memory(resident, max(0, current - cached), limit, "cgroup")
    total = _named(proc / "meminfo", "MemTotal:", 1024)
    free = _named(proc / "meminfo", "MemAvailable:", 1024)
    used = None if total is None or free is None else total - free
    return Memory(resident, used, total, "machine")


def _groups(proc: Path, cgroups: Path) -> list[Path]:
    """The group of this process and those around it: the first with a limit is the one that counts."""
    lines = (_text(proc / "self" / "cgroup") or "").splitlines()
    path = next((line[3:] for line in lines if line.startswith("0::")), None)
    if path is None:  # the second version of control groups alone
        return []
    inner = cgroups / path.lstrip("/")
    return [folder for folder in (inner, *inner.parents) if folder == cgroups or cgroups in folder.parents]


def _resident(proc: Path) -> int | None:
    said = (_text(proc / "self" / "statm") or "").split()
    return int(said[1]) * os.sysconf("SC_PAGE_SIZE") if len(said) > 1 else None


def _number(file: Path) -> int | None:
    said = (_text(file) or "").strip()
    return int(said) if said.isdigit() else None  # `max`: no limit


def _named(file: Path, name: str, unit: int) -> int | None:
    for line in (_text(file) or "").splitlines():
        said = line.split()
        if len(said) > 1 and said[0] == name and said[1].isdigit():
            return int(said[1]) * unit
    return None


def _text(file: Path) -> str | None:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return None
