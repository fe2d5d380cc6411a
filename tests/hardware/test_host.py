"""Memory, processor and system of the computer."""

import os

from vram_advisor.hardware import host

MEMINFO = (
    "MemTotal:       24684084 kB\nMemFree:        1 kB\nMemAvailable:   23797000 kB\nSwapTotal:             0 kB\n"
)


def tree(root, release="6.8.0-45-generic", meminfo=MEMINFO, cpu="model name\t: AMD EPYC 7713\n"):
    for name, text in {
        "sys/kernel/osrelease": release,
        "meminfo": meminfo,
        "cpuinfo": "processor\t: 0\n" + cpu,
    }.items():
        path = root / "proc" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_linux(tmp_path):
    found = host.read_host(tree(tmp_path), "linux")
    assert (found.system, found.cpu, found.logical_cpus) == ("linux", "AMD EPYC 7713", os.cpu_count())
    assert (found.ram_total_bytes, found.ram_available_bytes) == (24684084 * 1024, 23797000 * 1024)
    assert found.swap_total_bytes == 0


def test_wsl_is_not_linux(tmp_path):
    assert host.read_host(tree(tmp_path, release="5.15.153.1-microsoft-standard-WSL2"), "linux").system == "wsl"


def test_nothing_readable_is_none(tmp_path):
    found = host.read_host(tmp_path, "linux")
    assert (found.system, found.cpu, found.ram_total_bytes, found.ram_available_bytes) == ("linux", None, None, None)
    assert host.read_host(tree(tmp_path, cpu="", meminfo="MemTotal: many kB\n"), "linux").ram_total_bytes is None


def test_windows_and_mac_ask_psutil(tmp_path):
    for platform, system in (("win32", "windows"), ("darwin", "darwin")):
        found = host.read_host(tmp_path, platform)
        assert found.system == system
        assert found.ram_total_bytes > found.ram_available_bytes > 0


def test_names_of_processes():
    assert host.process_name(os.getpid())
    assert host.process_name(2**22 + 17) is None
