"""How a part stands, from what supervisor and the part itself say."""

from service.stack.parts import (
    Observation,
    Part,
    Standing,
    advance,
    answered,
    changes,
    describe,
    is_ready,
)

FRESH = Part(name="engine", waits_for="the model")


def seen(
    pid: int | None = 5, *, started: int = 100, stopped: int = 0, status: int = 0, error: str = ""
) -> Observation:
    """Return what supervisor says."""
    return Observation(
        name="engine",
        pid=pid,
        started_at=started,
        stopped_at=stopped,
        exit_status=status,
        spawn_error=error,
    )


def ready_part() -> Part:
    """Return a part that answers."""
    return answered(advance(FRESH, seen()))


def test_a_process_that_runs_is_not_ready() -> None:
    """It is only starting until it answers."""
    assert advance(FRESH, seen()).standing is Standing.STARTING


def test_an_answer_makes_it_ready() -> None:
    """And it stays ready while the process is the same."""
    assert advance(ready_part(), seen()).standing is Standing.READY


def test_a_new_process_must_answer_again() -> None:
    """A part that came back is not ready by its predecessor's answer."""
    back = advance(ready_part(), seen(6, stopped=150))
    assert back.standing is Standing.RESTARTING
    assert back.deaths == 1


def test_the_same_death_counts_once() -> None:
    """However often supervisor tells it."""
    dead = seen(None, stopped=150, status=-1)
    assert advance(advance(ready_part(), dead), dead).deaths == 1


def test_two_deaths_before_the_first_answer_are_the_end() -> None:
    """A part that never worked is given up at its second death."""
    once = advance(FRESH, seen(None, stopped=110, status=1))
    assert not once.gave_up
    assert advance(once, seen(None, started=111, stopped=120, status=1)).gave_up


def test_a_part_that_worked_is_never_given_up() -> None:
    """It is restarted as often as it takes."""
    part = ready_part()
    for moment in range(200, 300, 10):
        part = advance(part, seen(None, stopped=moment, status=1))
    assert part.deaths == 10
    assert not part.gave_up


def test_a_program_that_cannot_be_started_counts_as_dying() -> None:
    """Supervisor has no death to tell then, only an error."""
    part = FRESH
    for moment in (100, 101):
        part = advance(part, seen(None, started=moment, error="can't find command"))
    assert part.gave_up
    assert part.fault == "can't find command"


def test_all_parts_must_answer() -> None:
    """One that restarts makes the whole not ready."""
    assert is_ready([ready_part(), ready_part()])
    assert not is_ready([ready_part(), advance(ready_part(), seen(6, stopped=150))])


def test_the_operator_is_told_of_a_death_and_a_return() -> None:
    """With both process ids and the reason."""
    before = ready_part()
    dead = advance(before, seen(None, stopped=150, status=-1))
    back = advance(dead, seen(6, started=151, stopped=150))
    assert changes(before, dead) == ["engine (pid 5) died: killed by a signal"]
    assert changes(dead, back) == ["engine started, pid 6; waits for the model"]
    assert changes(back, answered(back)) == ["engine is ready"]


def test_nothing_new_is_not_told() -> None:
    """No change, no sentence."""
    assert changes(ready_part(), advance(ready_part(), seen())) == []


def test_a_line_says_uptime_or_what_it_waits_for() -> None:
    """Whichever the operator needs."""
    starting = advance(FRESH, seen(started=100))
    assert describe(starting, 112) == "12 s, waits for the model"
    assert describe(answered(starting), 3700) == "up 1:00:00"
    assert describe(FRESH, 100) == "starts soon"
