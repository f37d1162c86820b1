"""Whether a request that failed may be sent again."""

import pytest

from registry.errors import Declined, Interrupted, Unreachable
from service.fleet.attempts import Attempts, failure_of
from service.fleet.health import Failure
from service.fleet.replica import Replica
from service.vllm import Engine


def replica(port: int) -> Replica:
    """Return a replica that nobody asks."""
    url = f"http://127.0.0.1:{port}"
    return Replica(url, Engine(url, None, deadline_seconds=1))


@pytest.mark.parametrize("failure", [Failure.UNREACHABLE, Failure.DECLINED])
def test_any_number_of_replicas_may_do_nothing(failure: Failure) -> None:
    """Nothing was sent to them, or they refused to begin."""
    attempts = Attempts()
    some = [replica(port) for port in range(1, 6)]
    assert all(attempts.may_follow(one, failure) for one in some)
    assert attempts.tried == set(some)


def test_only_one_replica_may_be_interrupted() -> None:
    """A request that kills replicas does not kill the fleet."""
    attempts = Attempts()
    assert attempts.may_follow(replica(1), Failure.INTERRUPTED)
    assert not attempts.may_follow(replica(2), Failure.INTERRUPTED)


def test_a_version_is_loaded_again_once() -> None:
    """Not for ever."""
    attempts = Attempts()
    assert [attempts.may_reload(), attempts.may_reload()] == [True, False]


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (Unreachable("engine", "x"), Failure.UNREACHABLE),
        (Declined("engine", "x"), Failure.DECLINED),
        (Interrupted("engine", "x"), Failure.INTERRUPTED),
    ],
)
def test_each_error_is_a_failure_of_its_kind(
    error: Unreachable | Declined | Interrupted, failure: Failure
) -> None:
    """One was sent nothing, one did nothing, one may have done the work."""
    assert failure_of(error) is failure
