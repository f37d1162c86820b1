"""What neighbours take away."""

import os

from tests.benchmarks.serving.steadiness import Look, describe, look


def test_every_core_is_looked_at() -> None:
    """The mean is never below the best."""
    looks = look(0.05)
    assert len(looks) == len(os.sched_getaffinity(0))
    assert all(0 < one.best_ns <= one.mean_ns for one in looks)


def test_both_looks_are_told_by_the_best_of_either() -> None:
    """A machine that was slow all the time before is seen to have been, once it is not."""
    before, after = [Look(200, 200.0), Look(200, 400.0)], [Look(100, 110.0), Look(100, 130.0)]
    assert "took 3.00 times its best processor time before, and 1.20 times after" in describe(
        before, after
    )
