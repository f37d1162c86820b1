"""What this machine's processor computes at full speed.

It refuses to know who computes: trainer and engine must choose the same precision.
"""

from collections.abc import Iterable
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_X86_NEEDS = frozenset({"avx512f", "avx512bw", "avx512vl", "avx512dq"})
_ARM_NEEDS = frozenset({"bf16"})
_FLAG_NAMES = ("flags", "Features")


def has_fast_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16 matrices by instructions of its own.

    Without them oneDNN falls back to a reference routine, and a training step takes twelve times as
    long as in float32 (docs/lab-log.md).
    """
    try:
        return knows_bfloat16(_CPUINFO.read_text().splitlines())
    except OSError:
        return False


def knows_bfloat16(lines: Iterable[str]) -> bool:
    """Return what the lines of `/proc/cpuinfo` say about it; the first processor speaks for all."""
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in _FLAG_NAMES:
            flags = frozenset(value.split())
            return flags >= _X86_NEEDS or flags >= _ARM_NEEDS
    return False


def processor_name() -> str:
    """Return what the processor calls itself; empty where the machine does not say."""
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        return ""
    found = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(found, "")
