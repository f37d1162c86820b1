"""How a replica's health follows from probes and failures."""

import pytest

from service.fleet.health import (
    CALM_SECONDS,
    EJECT_AFTER,
    EJECT_AFTER_ERRORS,
    EJECT_SECONDS,
    MAX_EJECT_SECONDS,
    Failure,
    Health,
    Standing,
    failed,
    probed,
    succeeded,
)

UP = probed(Health(), answered=True, now=0)


def test_a_replica_that_was_never_asked_is_down() -> None:
    """No data is never healthy."""
    assert Health().standing is Standing.DOWN


def test_an_answered_probe_brings_a_replica_up() -> None:
    """One is enough."""
    assert UP.standing is Standing.UP


def test_a_probe_without_an_answer_brings_it_down() -> None:
    """At once, and the next answer brings it back without a pause."""
    down = probed(UP, answered=False, now=1)
    assert down.standing is Standing.DOWN
    assert probed(down, answered=True, now=1).standing is Standing.UP


def test_a_refused_connection_ejects_at_once() -> None:
    """Nothing listens there."""
    assert failed(UP, Failure.UNREACHABLE, 5).standing is Standing.DOWN


def test_only_several_interruptions_in_a_row_eject() -> None:
    """One may be the request's own fault."""
    health = UP
    for _ in range(EJECT_AFTER - 1):
        health = failed(health, Failure.INTERRUPTED, 5)
        assert health.standing is Standing.UP
    assert failed(health, Failure.INTERRUPTED, 5).standing is Standing.EJECTED


def test_an_ejected_replica_comes_back_after_its_time_and_a_probe() -> None:
    """An answer before the time is over is not enough."""
    out = failed(UP, Failure.UNREACHABLE, 5)
    early = probed(out, answered=True, now=5 + EJECT_SECONDS / 2)
    assert early.standing is Standing.EJECTED
    assert probed(early, answered=True, now=5 + EJECT_SECONDS).standing is Standing.UP


def test_each_ejection_lasts_twice_as_long_up_to_a_bound() -> None:
    """A replica that fails again and again is left alone longer."""
    health, now, lengths = UP, 0.0, []
    for _ in range(8):
        health = failed(health, Failure.UNREACHABLE, now)
        lengths.append(health.ejected_until - now)
        now = health.ejected_until
        health = probed(health, answered=True, now=now)
    assert lengths[:3] == [EJECT_SECONDS, 2 * EJECT_SECONDS, 4 * EJECT_SECONDS]
    assert lengths[-1] == MAX_EJECT_SECONDS


def test_a_calm_time_makes_the_next_ejection_a_first_one() -> None:
    """Last week's faults do not count."""
    health = probed(failed(UP, Failure.UNREACHABLE, 0), answered=True, now=10)
    later = failed(health, Failure.UNREACHABLE, CALM_SECONDS + 1)
    assert later.ejected_until - (CALM_SECONDS + 1) == EJECT_SECONDS


def test_failures_of_an_ejected_replica_do_not_lengthen_it() -> None:
    """They are of requests that were under way."""
    once = failed(UP, Failure.UNREACHABLE, 5)
    assert failed(once, Failure.UNREACHABLE, 5.5).ejected_until == once.ejected_until


@pytest.mark.parametrize("failure", Failure)
def test_a_return_wipes_the_count_of_failures(failure: Failure) -> None:
    """Whatever it was ejected for."""
    health = UP
    for _ in range(EJECT_AFTER_ERRORS):
        health = failed(health, failure, 0)
    back = probed(health, answered=True, now=99)
    assert (back.failures, back.errors) == (0, 0)


@pytest.mark.parametrize("failure", [Failure.ERROR, Failure.DECLINED])
def test_only_many_server_errors_in_a_row_eject(failure: Failure) -> None:
    """One answer between them starts the count anew."""
    health = succeeded(failed(UP, failure, 5))
    for _ in range(EJECT_AFTER_ERRORS - 1):
        health = failed(health, failure, 5)
        assert health.standing is Standing.UP
    assert failed(health, failure, 5).standing is Standing.EJECTED


def test_server_errors_do_not_eject_a_replica_that_is_needed() -> None:
    """They count, and eject as soon as it is not needed any more."""
    health = UP
    for _ in range(2 * EJECT_AFTER_ERRORS):
        health = failed(health, Failure.ERROR, 5, is_needed=True)
    assert health.standing is Standing.UP
    assert failed(health, Failure.ERROR, 5).standing is Standing.EJECTED


def test_a_good_health_check_keeps_the_count_of_server_errors() -> None:
    """A replica may be healthy by its own account and answer nothing."""
    health = UP
    for _ in range(EJECT_AFTER_ERRORS):
        health = probed(failed(health, Failure.ERROR, 5), answered=True, now=5)
    assert health.standing is Standing.EJECTED
