"""Ids of requests: their own, and in the order of time."""

import time

from service.problems import new_request_id


def test_each_request_has_an_id_of_its_own() -> None:
    """Thirty-two hexadecimal digits, never the same twice."""
    ids = {new_request_id() for _ in range(10_000)}
    assert len(ids) == 10_000
    assert all(len(name) == 32 and int(name, 16) for name in ids)


def test_later_requests_have_greater_ids() -> None:
    """So that neighbours in time are neighbours in the index; what is guessed stays random."""
    before = new_request_id()
    until = time.time_ns() + 2_000_000
    while time.time_ns() < until:
        pass
    after = new_request_id()
    assert before < after
    assert before[12:] != after[12:]
