"""What trainers call themselves."""

from pathlib import Path

import pytest

from trainer import seat as seats
from trainer.seat import NoSeat, seat


def test_a_trainer_that_starts_again_has_its_old_name(tmp_path: Path) -> None:
    """What it did under that name it may go on with."""
    with seat(tmp_path) as first:
        pass
    with seat(tmp_path) as second:
        pass
    assert first == second


def test_two_trainers_never_have_one_name(tmp_path: Path) -> None:
    """The second of a host takes the next seat."""
    with seat(tmp_path) as first, seat(tmp_path) as second:
        assert first != second


def test_hosts_that_call_themselves_alike_are_told_apart(tmp_path: Path) -> None:
    """Names have a part that is made by chance, and are short enough for the store."""
    with seat(tmp_path / "a", host="x" * 99) as one, seat(tmp_path / "b", host="x" * 99) as other:
        assert one != other
        assert len(f"trainer:{one}") <= 64


def test_more_trainers_than_seats_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trainer without a seat says so."""
    monkeypatch.setattr(seats, "SEATS", 1)
    with seat(tmp_path), pytest.raises(NoSeat, match="already"), seat(tmp_path):
        pass
