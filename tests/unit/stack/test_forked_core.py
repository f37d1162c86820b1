"""The fork that becomes vLLM's engine: what it keeps of its server, and what it gives up."""

import multiprocessing
import socket
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection
from types import ModuleType

import pytest
import torch

from service.stack import forked_core


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """Wait for clients on a port."""
    with socket.socket() as waiting:
        waiting.bind(("127.0.0.1", 0))
        waiting.listen()
        yield waiting


def engine(told: Connection, client: socket.socket) -> None:
    """Be the engine: give up the port, and speak through what is left until told to end."""
    forked_core.give_up_servers()
    client.sendall(b"kept")
    told.recv()


def test_a_fork_keeps_connections_and_no_port(server: socket.socket) -> None:
    """Once the server is gone its port refuses, though the engine lives on."""
    address = server.getsockname()
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    with socket.create_connection(address) as client, server.accept()[0] as accepted:
        process = context.Process(target=engine, args=(theirs, client))
        process.start()
        assert accepted.recv(4) == b"kept"
        server.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        ours.send("end")
        process.join()
    assert process.exitcode == 0


def test_several_threads_are_never_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """There vLLM's own choice stays."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setitem(sys.modules, "vllm.v1.engine.utils", None)  # an import would fail
    forked_core.install()


def test_a_vllm_of_another_make_starts_as_it_always_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork only saves time: where it cannot be chosen, nothing fails."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    other = ModuleType("vllm.v1.engine.utils")
    monkeypatch.setitem(sys.modules, "vllm.v1.engine.utils", other)
    forked_core.install()
    assert not hasattr(other, "get_mp_context")


def test_the_vllm_we_know_forks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its choice of a way to start processes is ours."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    known = ModuleType("vllm.v1.engine.utils")
    monkeypatch.setattr(known, "get_mp_context", multiprocessing.get_context, raising=False)
    monkeypatch.setitem(sys.modules, "vllm.v1.engine.utils", known)
    forked_core.install()
    assert known.get_mp_context is forked_core.forking
