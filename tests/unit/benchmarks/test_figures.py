"""What is read from wrk, and the figures that are made of it."""

import pytest

from tests.benchmarks.serving.figures import (
    Load,
    Work,
    cpu_seconds_an_event,
    median_of,
    parse_wrk,
    percentile,
    ratio_of,
    wall_seconds_an_event,
)
from tests.benchmarks.serving.load import pause_for
from tests.benchmarks.serving.results import Memory

WRK = """\
Running 2s test @ http://127.0.0.1:8080
  1 threads and 32 connections
{"requests":1000,"seconds":2.0,"p50_ms":1.5,"p90_ms":2.5,"p99_ms":9.0,"refused":0,"broken":0}
"""


def load(rate: float = 100.0, **changes: float) -> Load:
    """Return the load of one second."""
    figures = {"p50_ms": 1.0, "p90_ms": 2.0, "p99_ms": 3.0, "refused": 0, "broken": 0}
    return Load(requests=int(rate), seconds=1.0, **{**figures, **changes})  # type: ignore[arg-type]


def test_the_figures_are_read_from_the_last_line() -> None:
    """What wrk says before the figures is passed over."""
    found = parse_wrk(WRK)
    assert (found.per_second, found.p99_ms, found.is_valid) == (500.0, 9.0, True)


def test_output_without_figures_is_no_result() -> None:
    """A run that wrk did not finish is an error, not a zero."""
    with pytest.raises(ValueError, match="no figures"):
        parse_wrk("unable to connect to 127.0.0.1:8080 Connection refused\n")


@pytest.mark.parametrize("fault", ["refused", "broken"])
def test_one_fault_makes_a_load_invalid(fault: str) -> None:
    """A refused answer and a broken connection count alike."""
    assert not load(**{fault: 1}).is_valid


def test_no_answer_at_all_is_invalid() -> None:
    """A system that answered nothing has no figures, though nothing failed."""
    assert not load(rate=0).is_valid


def test_the_median_of_rounds_takes_each_figure_in_the_middle() -> None:
    """One slow round moves neither the rate nor a latency."""
    found = median_of([load(100, p99_ms=3.0), load(10, p99_ms=90.0), load(102, p99_ms=3.5)])
    assert (found.per_second, found.p99_ms) == (100.0, 3.5)


def test_an_error_in_any_round_stays() -> None:
    """The median hides no fault."""
    assert median_of([load(), load(refused=2), load()]).errors == 2


@pytest.mark.parametrize(("percent", "expected"), [(1, 1.0), (50, 50.0), (99, 99.0), (100, 100.0)])
def test_a_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    """Of 1 to 100, the n-th percentile is n."""
    assert percentile([float(value) for value in range(100, 0, -1)], percent) == expected


def test_a_percentile_of_nothing_is_refused() -> None:
    """No data is no figure."""
    with pytest.raises(ValueError, match="needs values"):
        percentile([], 50)


def test_the_wall_time_of_an_event_is_the_difference_of_two_lengths() -> None:
    """Streams of 32 events at 1,000 a second and of 512 at 100 a second: 9 ms for 480 events."""
    cost = wall_seconds_an_event(load(1000), load(100), events=(32, 512))
    assert cost == pytest.approx(0.009 / 480)


def test_the_cpu_time_of_an_event_is_told_from_that_of_an_answer() -> None:
    """With 1 ms an answer and 10 µs an event, the 10 µs are found."""
    short = Work(cpu_seconds=100 * 1e-3 + 3200 * 1e-5, answers=100, events=3200)
    long = Work(cpu_seconds=10 * 1e-3 + 5120 * 1e-5, answers=10, events=5120)
    assert cpu_seconds_an_event(short, long) == pytest.approx(1e-5)


def test_runs_of_the_same_length_tell_no_cost_of_an_event() -> None:
    """Two equations that say the same are refused."""
    work = Work(cpu_seconds=1.0, answers=10, events=320)
    with pytest.raises(ValueError, match="must differ"):
        cpu_seconds_an_event(work, work)


def test_the_pause_of_a_paced_load_leaves_room_for_the_answer() -> None:
    """A cycle of 20 ms that took 23 ms gets a pause of 17 ms."""
    assert pause_for(20.0, 23.0, 20.0) == pytest.approx(17.0)


def test_the_pause_of_a_paced_load_is_mended() -> None:
    """A run that sent too fast with some pause is followed by one with a longer pause."""
    assert pause_for(20.0, 14.0, 12.0) == pytest.approx(18.0)


def test_the_pause_of_a_paced_load_never_vanishes() -> None:
    """A system too slow for the rate is not driven without any pause."""
    assert pause_for(20.0, 500.0, 20.0) == pytest.approx(10.0)


def test_memory_growth_counts_from_half_of_the_requests() -> None:
    """What a process takes while it warms up is no growth."""
    samples = [(0, 50_000_000), (40, 90_000_000), (60, 92_000_000), (100, 93_000_000)]
    assert Memory(samples=samples, errors=0).growth_mb == pytest.approx(1.0)


def test_a_ratio_is_of_all_answers_with_an_interval_over_the_pairs() -> None:
    """A slow moment of the machine that meets both of a pair alike widens nothing."""
    without = [load(rate) for rate in (100, 50, 100, 50, 80, 60)]
    steady = ratio_of(without, [load(rate * 0.96) for rate in (100, 50, 100, 50, 80, 60)])
    shaky = ratio_of(without, [load(rate) for rate in (120, 40, 80, 62, 70, 50)])
    assert steady.seen == pytest.approx(0.96, abs=0.01)
    assert steady.low == pytest.approx(0.96, abs=0.01)
    assert steady.high == pytest.approx(0.96, abs=0.01)
    assert shaky.seen == pytest.approx(422 / 440)
    assert shaky.low < shaky.seen < shaky.high


@pytest.mark.parametrize("without", [[], [100.0, 0.0]])
def test_a_ratio_needs_pairs_and_answers(without: list[float]) -> None:
    """One run more on one side belongs to no pair."""
    with pytest.raises(ValueError, match="needs pairs"):
        ratio_of([load(rate) for rate in without], [load(), load()])
