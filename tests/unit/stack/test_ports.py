"""Taken ports are named before anything is started."""

import os
import socket
from collections.abc import Iterator

import pytest

from registry.errors import Conflict
from registry.settings import Settings
from service.stack.ports import Claim, check_ports, claims_of, clashes, holder_of
from tests.processes import free_ports


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port on which this test listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def claim(port: int, host: str = "127.0.0.1") -> Claim:
    """Return the trainer's claim on a port."""
    return Claim(part="trainer", host=host, port=port, setting="trainer_port")


def test_a_taken_port_is_explained(taken: int) -> None:
    """The message has the part, the port, its holder, the option and the variable."""
    with pytest.raises(Conflict) as caught:
        check_ports([claim(taken)])
    told = str(caught.value)
    assert f"Port {taken}, which the trainer needs, is taken" in told
    assert f"(pid {os.getpid()})" in told
    assert "--trainer-port" in told
    assert "GRAFTLINE_TRAINER_PORT" in told


def test_every_fault_is_named_at_once(taken: int) -> None:
    """Two taken ports are two lines."""
    with pytest.raises(Conflict) as caught:
        check_ports([claim(taken), claim(taken, host="localhost")])
    assert str(caught.value).count("is taken") == 2


def test_free_ports_pass() -> None:
    """Nothing is said about a port that can be had."""
    check_ports([claim(port) for port in free_ports(2)])


def test_an_address_that_is_not_ours_is_explained() -> None:
    """It is no taken port, and the message does not say so."""
    with pytest.raises(Conflict, match="cannot listen"):
        check_ports([claim(free_ports(1)[0], host="192.0.2.1")])


def test_two_parts_on_one_port_clash(settings: Settings) -> None:
    """The mistake is in the settings, not on the machine."""
    same = settings.model_copy(update={"trainer_port": settings.evals_port})
    (told,) = clashes(claims_of(same))
    assert "trainer and evals" in told


def test_every_vllm_server_needs_its_port(settings: Settings) -> None:
    """Each is checked before anything is started."""
    two = settings.model_copy(update={"engine_replicas": 2, "engine_port": 9000})
    claimed = {one.part: one.port for one in claims_of(two)}
    assert (claimed["engine"], claimed["engine-2"]) == (9000, 9010)


def test_a_vllm_elsewhere_needs_no_port(settings: Settings) -> None:
    """Only what we start needs one."""
    elsewhere = settings.model_copy(update={"engine_url": "http://gpu:8000"})
    assert "engine" not in [one.part for one in claims_of(elsewhere)]


def test_nobody_holds_a_free_port() -> None:
    """Then there is no name to tell."""
    assert holder_of(free_ports(1)[0]) is None
