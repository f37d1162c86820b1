"""In which order an exam asks."""

from evals.order import Numbered
from evals.panel import Arm
from evals.place import places_of
from evals.scoring import scheme_of
from evals.suites.suite import Suite
from registry.chatdata import Row


def test_one_arm_is_asked_after_another() -> None:
    """What is in flight together is one model's, suite by suite."""
    rows = [Row(line=number + 1, prompt="?", completion="yes") for number in range(2)]
    entries = [Numbered(number=number, row=row) for number, row in enumerate(rows)]
    arms = [Arm(name=name, model=name) for name in ("base", "adapter")]
    suites = [Suite(name=name, title=name, entries=entries, arms=arms) for name in ("a", "b")]
    scheme = scheme_of({}, {0: "yes", 1: "yes"}, by_row=False)
    asked = [place.key for place in places_of(suites, {"a": scheme, "b": scheme})]
    assert asked == [(s, arm.name, n) for s in ("a", "b") for arm in arms for n in (0, 1)]
