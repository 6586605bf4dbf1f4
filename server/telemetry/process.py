"""What the operating system says of this process and its machine, for INFO and MEMORY, and says to it."""

import os
import signal
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def stop_signals() -> list[signal.Signals]:
    """What ends this process in order: SIGTERM, Ctrl-C, and a terminal that closes, unless nohup or its like has said
    that this one is to outlive its terminal."""
    signals = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    return signals


def resident_bytes() -> int:
    """Memory of this process that is in RAM; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0


def peak_resident_bytes() -> int:
    """The most it ever was; at least what it is now."""
    peak = 0
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peak = int(line.split()[1]) * 1024
    except (OSError, IndexError, ValueError):
        peak = 0
    return max(peak, resident_bytes())


def total_memory_bytes() -> int:
    """RAM of the machine."""
    return _PAGE_BYTES * os.sysconf("SC_PHYS_PAGES")


def human_bytes(size_bytes: float) -> str:
    """As Redis writes sizes for people: 318B, 1018.62K, 3.16M, 23.54G."""
    if size_bytes < 1024:
        return f"{int(size_bytes)}B"
    for unit in "KMGT":
        size_bytes /= 1024
        if size_bytes < 1024:
            return f"{size_bytes:.2f}{unit}"
    return f"{size_bytes / 1024:.2f}P"
