"""The tables and the page of the benchmarks."""

import pytest

from tests.benchmarks.serving.figures import Load
from tests.benchmarks.serving.report import (
    Requirement,
    load_table,
    requirements,
    serving_section,
    with_section,
)
from tests.benchmarks.serving.results import Cell, Memory, Results

PAGE = "# Benchmarks\n\n## One\n\nold\n\n## Two\n\nkept\n"


def load(rate: int, p50_ms: float = 1.0, refused: int = 0) -> Load:
    """Return the load of one second."""
    return Load(
        requests=rate,
        seconds=1.0,
        p50_ms=p50_ms,
        p90_ms=2.0,
        p99_ms=3.0,
        refused=refused,
        broken=0,
    )


def results(refused: int = 0) -> Results:
    """Return a table with two places, and litellm's refusals."""
    return Results(
        table={
            Cell("direct", 1, streamed=False): load(10_000, 0.1),
            Cell("graftline", 1, streamed=False): load(2500, 0.4),
            Cell("graftline", 32, streamed=False): load(6000),
            Cell("litellm", 32, streamed=False): load(150, refused=refused),
        }
    )


def required(found: Results, words: str) -> Requirement:
    """Return the requirement whose text has these words."""
    return next(one for one in requirements(found) if words in one.what)


def test_what_was_not_measured_is_not_met() -> None:
    """A run of nothing meets nothing."""
    assert {one.verdict for one in requirements(Results())} == {"not measured"}


def test_the_added_latency_is_the_difference_to_no_gateway() -> None:
    """0.4 ms through the service and 0.1 ms without it are 0.3 ms added."""
    assert required(results(), "p50 added").seen == pytest.approx(0.3)


def test_an_event_alone_is_beyond_the_bare_relay() -> None:
    """What the kernel takes of it, no relay can leave out."""
    found = Results(cpu_an_event_us={"bare relay": 14.5, "graftline": 20.0})
    assert required(found, "comes alone").seen == pytest.approx(5.5)
    assert required(Results(cpu_an_event_us={"graftline": 20.0}), "comes alone").seen is None


def test_a_ratio_is_ours_over_theirs() -> None:
    """6,000 requests a second are 40 times 150."""
    found = required(results(), "to litellm's")
    assert (found.seen, found.verdict) == (40.0, "met")


def test_a_ratio_to_an_invalid_row_is_not_measured() -> None:
    """A peer that refused requests is no measure."""
    assert required(results(refused=3), "to litellm's").verdict == "not measured"


def test_an_invalid_row_shows_no_figures() -> None:
    """A row with errors says invalid, and how many errors."""
    table = load_table(results(refused=3))
    assert "| litellm | invalid | invalid | invalid | invalid | 3 | – | – |" in table


def test_memory_with_failed_requests_is_not_measured() -> None:
    """A service that refuses requests holds little memory for no merit."""
    memory = Memory(samples=[(0, 50), (10, 60)], errors=1)
    assert required(Results(memory=memory), "memory, MB").verdict == "not measured"


@pytest.mark.parametrize(("seen", "verdict"), [(0.95, "met"), (0.94, "missed")])
def test_a_lower_limit_is_met_at_the_limit(seen: float, verdict: str) -> None:
    """`At least` takes the limit itself."""
    one = Requirement(what="ratio", seen=seen, limit=0.95, at_least=True)
    assert one.verdict == verdict


def test_parts_that_were_not_run_have_no_heading() -> None:
    """A run of the table alone shows no empty tables."""
    text = serving_section(results(), ["Machine: one."])
    assert "### Latency" in text
    assert "### Streams" not in text


def test_a_section_of_the_page_is_replaced() -> None:
    """The other sections stay as they are."""
    assert with_section(PAGE, "One", "new") == "# Benchmarks\n\n## One\n\nnew\n\n## Two\n\nkept\n"


def test_a_section_the_page_lacks_is_added() -> None:
    """A new section comes last."""
    assert with_section(PAGE, "Three", "new") == f"{PAGE}\n## Three\n\nnew\n"
