"""The memory that counts is that of the place in which a process would be killed."""

from pathlib import Path

from payouts.memory import read_memory

MIB = 1024**2


def system(folder: Path, group: str) -> tuple[Path, Path]:
    """A /proc and a /sys/fs/cgroup in which this process is in `group`."""
    proc, cgroups = folder / "proc", folder / "cgroup"
    (proc / "self").mkdir(parents=True)
    (cgroups / group).mkdir(parents=True)
    (proc / "self" / "statm").write_text("5000 1000 300 1 0 800 0\n")
    (proc / "self" / "cgroup").write_text(f"0::/{group}\n")
    (proc / "meminfo").write_text("MemTotal: 8192 kB\nMemFree: 100 kB\nMemAvailable: 2048 kB\n")
    return proc, cgroups


def limit(group: Path, limit_bytes: str, used_bytes: int, cached_bytes: int = 0) -> None:
    (group / "memory.max").write_text(f"{limit_bytes}\n")
    (group / "memory.current").write_text(f"{used_bytes}\n")
    (group / "memory.stat").write_text(f"anon 5\ninactive_file {cached_bytes}\n")


def test_a_limited_group_counts_without_the_files_it_only_caches(tmp_path: Path) -> None:
    proc, cgroups = system(tmp_path, "app")
    limit(cgroups / "app", str(100 * MIB), 80 * MIB, 30 * MIB)

    found = read_memory(proc, cgroups)

    assert (found.used_bytes, found.limit_bytes, found.place) == (50 * MIB, 100 * MIB, "cgroup")
    assert found.resident_bytes


def test_a_limit_around_the_group_counts_where_it_has_none(tmp_path: Path) -> None:
    proc, cgroups = system(tmp_path, "pod/app")
    limit(cgroups / "pod" / "app", "max", 10 * MIB)
    limit(cgroups / "pod", str(40 * MIB), 20 * MIB)

    assert read_memory(proc, cgroups).limit_bytes == 40 * MIB


def test_without_a_limited_group_the_machine_counts(tmp_path: Path) -> None:
    proc, cgroups = system(tmp_path, "app")

    found = read_memory(proc, cgroups)

    assert (found.used_bytes, found.limit_bytes, found.place) == (6 * MIB, 8 * MIB, "machine")


def test_a_system_that_tells_nothing_is_no_error(tmp_path: Path) -> None:
    found = read_memory(tmp_path / "none", tmp_path / "none")

    assert (found.resident_bytes, found.used_bytes, found.limit_bytes) == (None, None, None)


def test_this_system_tells() -> None:
    found = read_memory()

    assert found.resident_bytes
    assert found.limit_bytes
    assert found.used_bytes
    assert found.resident_bytes < found.limit_bytes
