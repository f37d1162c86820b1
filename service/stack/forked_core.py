"""A plugin of vLLM's CPU build (0.32): the process of its engine is a fork of its server's.

It refuses to fork where several threads compute: those of OpenMP do not come along. By itself the
CPU build starts that process from nothing, and it imports torch and vLLM a second time: half of the
processor time of a start. On a GPU vLLM forks too.
"""

import logging
import multiprocessing
import os
import socket
import stat
import sys
from collections.abc import Iterator
from importlib import import_module
from multiprocessing.context import BaseContext
from multiprocessing.util import register_after_fork
from pathlib import Path

_STARTER, _CHOICE = "vllm.v1.engine.utils", "get_mp_context"
_DESCRIPTORS = Path("/proc/self/fd")
_INTERNET = frozenset({socket.AF_INET, socket.AF_INET6})

logger = logging.getLogger(__name__)


def install() -> None:
    """Let the server's process fork, if one thread computes in it.

    A vLLM that we do not know starts its engine as it always does.
    """
    if sys.modules["torch"].get_num_threads() > 1:
        return
    try:
        starter = import_module(_STARTER)
    except ImportError:
        starter = None
    if not hasattr(starter, _CHOICE):
        logger.warning("%s has no %s: the engine starts without a fork", _STARTER, _CHOICE)
        return
    setattr(starter, _CHOICE, forking)


def forking() -> BaseContext:
    """Return the context in which children are forks that leave the server's port alone."""
    register_after_fork(give_up_servers, lambda give_up: give_up())
    return multiprocessing.get_context("fork")


def give_up_servers() -> None:
    """Let go of the sockets on which this process's parent waits for clients.

    Held by an engine whose server was killed, the port would take clients whom nobody answers. The
    numbers stay taken, for the objects that own them may close them yet.
    """
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in list(_listeners()):
        os.dup2(nothing, number, inheritable=False)
    os.close(nothing)


def _listeners() -> Iterator[int]:
    """Yield the descriptors of internet sockets that are connected to nobody."""
    for number in [int(entry.name) for entry in _DESCRIPTORS.iterdir()]:
        if _is_socket(number):
            with socket.socket(fileno=os.dup(number)) as copy:
                if copy.family in _INTERNET and not _has_peer(copy):
                    yield number


def _is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:  # closed by now: the one with which the folder was read
        return False


def _has_peer(one: socket.socket) -> bool:
    try:
        one.getpeername()
    except OSError:
        return False
    return True
