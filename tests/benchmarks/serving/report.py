"""Findings as markdown: the tables, what is required beside what was seen, the page. Pure.

It refuses to measure. What was not measured, or went wrong, is never shown as met.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.serving.figures import Load
from tests.benchmarks.serving.results import Cell, Results
from tests.benchmarks.serving.systems import DIRECT, GRAFTLINE, LITELLM, RELAY, ROUTER

SERVING = "Serving"
ENGINE = "With a real engine"
TITLE = """\
# Benchmarks

Made by `make bench-serving`, `make bench-engine`, `make bench-swaps`, `make bench-training`, \
`make bench-data`, `make bench-methods`, `make bench-evals` and `make bench-drift`; \
each section has its date.

How to read it. One compiled upstream answers at once; each system forwards to it with one worker, \
and while one is measured the others are stopped. Graftline runs as a user starts it, with a key \
that may only infer, a deployment that splits units half and half between the base model and an \
adapter, the interaction log and the metrics; both arms are seen before anything is measured. wrk \
makes the load from one thread. A row with a failed request is invalid and makes no ratio. \
\"Half of the own peak\" is a load of nearly constant rate: each of many connections waits for a \
random time before each request, 20 ms in the mean with the answer, so a stall delays few others; \
the peak is measured anew just before it. \
\"Event at saturation\" compares streams of 512 events with streams of 32, all events written at \
once, each as a write of its own; the first row is what upstream and wrk alone take. \"Event \
alone\" is processor time, with 5 ms between two events of a stream, so that none is read \
together with the next; the bare relay is a program in C that only copies bytes between two \
sockets, so what it takes is the kernel's (docs/decisions/022). The full run watches the memory, \
that of child processes counted in, over a million requests, one of eight streamed; \
`BENCH="--only memory --systems graftline --requests 1000000"` does that alone.
"""


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """A figure and its limit."""

    what: str
    """What is measured, with its unit."""
    seen: float | None
    """What was seen; none when it was not measured, or something failed."""
    limit: float
    """The limit."""
    at_least: bool = False
    """Whether the limit is the lowest figure allowed, not the highest."""

    @property
    def verdict(self) -> str:
        """`met`, `missed` or `not measured`."""
        if self.seen is None:
            return "not measured"
        is_met = self.seen >= self.limit if self.at_least else self.seen <= self.limit
        return "met" if is_met else "missed"


def requirements(results: Results) -> list[Requirement]:
    """Return everything that is required of the service, with what was seen."""
    return [*_for_requests(results), *_for_streams(results), *_for_size(results)]


def _for_requests(results: Results) -> Iterator[Requirement]:
    yield Requirement(what="p50 added at 1 connection, ms", seen=_added_p50(results), limit=0.35)
    for peer, limit in ((LITELLM, 30.0), (ROUTER, 0.2)):
        yield Requirement(
            what=f"requests/s at 32 connections, to {peer}'s",
            seen=_ratio(results, Cell(GRAFTLINE, 32, streamed=False), peer),
            limit=limit,
            at_least=True,
        )
    tail = results.tails.get(GRAFTLINE)
    is_sound = tail is not None and tail.direct.is_valid and tail.gateway.is_valid
    yield Requirement(
        what="p99 added at half of its own peak, ms",
        seen=tail.added_p99_ms if tail is not None and is_sound else None,
        limit=3,
    )


def _for_streams(results: Results) -> Iterator[Requirement]:
    added = _difference(results.first_token_ms, DIRECT)
    yield Requirement(what="time to first token added, p50, ms", seen=added, limit=0.5)
    yield Requirement(
        what="time of a streamed event at saturation, µs",
        seen=results.wall_an_event_us.get(GRAFTLINE),
        limit=15,
    )
    yield Requirement(
        what=f"processor time of a streamed event that comes alone, beyond the {RELAY}'s, µs",
        seen=_difference(results.cpu_an_event_us, RELAY),
        limit=15,
    )


def _for_size(results: Results) -> Iterator[Requirement]:
    memory, many = results.memory, results.many
    held = memory if memory is not None and not memory.errors else None
    after = "" if held is None else f" after {held.samples[-1][0]:,} requests"
    crowd = "" if many is None else f" ({many.known:,} known, {many.loaded} loaded)"
    yield Requirement(what=f"memory{after}, MB", seen=held.last_mb if held else None, limit=150)
    yield Requirement(
        what="memory grown over the second half of them, MB",
        seen=held.growth_mb if held else None,
        limit=5,
    )
    yield Requirement(
        what=f"requests/s with many adapter versions{crowd}, to those with one",
        seen=_many_ratio(results),
        limit=0.9,
        at_least=True,
    )
    yield Requirement(
        what=f"`/metrics` scrape with many adapter versions{crowd}, ms",
        seen=many.scrape_ms if many else None,
        limit=250,
    )


def serving_section(results: Results, lines: Sequence[str]) -> str:
    """Return the whole section on serving, without its title."""
    parts = [
        "\n".join(lines),
        "### Required\n\n" + requirement_table(requirements(results)),
        "### Latency and throughput\n\n" + load_table(results) if results.table else "",
        "### Half of the own peak\n\n" + _tail_table(results) if results.tails else "",
        "### Streams\n\n" + _stream_table(results) if _has_streams(results) else "",
        "### Many adapter versions\n\n" + _many_text(results) if results.many else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def requirement_table(found: Iterable[Requirement]) -> str:
    """Return limits and figures side by side."""
    rows = [
        [
            one.what,
            "–" if one.seen is None else f"{one.seen:.3g}",
            f"{'≥' if one.at_least else '≤'} {one.limit:g}",
            one.verdict,
        ]
        for one in found
    ]
    return _markdown(["what", "seen", "required", ""], rows)


def load_table(results: Results) -> str:
    """Return every cell with its ratios; one with errors is called invalid."""
    heads = ["answers", "connections", "system", "p50 ms", "p90 ms", "p99 ms", "requests/s"]
    heads += ["errors", "× litellm", "× vllm-router"]
    order = [DIRECT, GRAFTLINE, LITELLM, ROUTER]
    cells = sorted(
        results.table, key=lambda cell: (cell.streamed, cell.connections, order.index(cell.system))
    )
    return _markdown(heads, [_load_row(results, cell) for cell in cells])


def rate_table(title: str, rows: Iterable[tuple[str, Load]]) -> str:
    """Return named loads below one another; one with errors shows how many."""
    heads = [title, "requests/s", "p50 ms", "p99 ms", "errors"]
    return _markdown(heads, [[name, *_rates(load), str(load.errors)] for name, load in rows])


def with_section(page: str, title: str, text: str) -> str:
    """Return a page with one section replaced, or added at its end."""
    section = f"## {title}\n\n{text.strip()}\n"
    found = re.search(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    if found is None:
        return f"{page.rstrip()}\n\n{section}"
    rest = page[found.end() :]
    return page[: found.start()] + section + ("\n" + rest if rest else "")


def _load_row(results: Results, cell: Cell) -> list[str]:
    load = results.table[cell]
    start = ["streamed" if cell.streamed else "plain", str(cell.connections), cell.system]
    if not load.is_valid:
        return [*start, *["invalid"] * 4, str(load.errors), "–", "–"]
    return [
        *start,
        *(f"{figure:.2f}" for figure in (load.p50_ms, load.p90_ms, load.p99_ms)),
        f"{load.per_second:,.0f}",
        "0",
        *(_as_text(_ratio(results, cell, peer)) for peer in (LITELLM, ROUTER)),
    ]


def _rates(load: Load) -> list[str]:
    if not load.is_valid:
        return ["invalid"] * 3
    return [f"{load.per_second:,.0f}", f"{load.p50_ms:.2f}", f"{load.p99_ms:.2f}"]


def _tail_table(results: Results) -> str:
    heads = ["system", "peak/s", "sent/s", "p99 ms", "p99 without it, ms", "added, ms", "errors"]
    rows = [
        [
            name,
            f"{tail.peak:,.0f}",
            f"{tail.gateway.per_second:,.0f}",
            f"{tail.gateway.p99_ms:.2f}",
            f"{tail.direct.p99_ms:.2f}",
            f"{tail.added_p99_ms:.2f}",
            str(tail.gateway.errors + tail.direct.errors),
        ]
        for name, tail in results.tails.items()
    ]
    return _markdown(heads, rows)


def _stream_table(results: Results) -> str:
    heads = ["system", "first token, p50, ms", "event at saturation, µs", "event alone, CPU µs"]
    columns = (results.first_token_ms, results.wall_an_event_us, results.cpu_an_event_us)
    order = (DIRECT, RELAY, GRAFTLINE, LITELLM, ROUTER)
    names = [name for name in order if any(name in column for column in columns)]
    rows = [[name, *(_as_text(column.get(name)) for column in columns)] for name in names]
    return _markdown(heads, rows)


def _many_text(results: Results) -> str:
    many = results.many
    assert many is not None
    rows = [
        ("one version", many.few),
        (f"{many.known:,} known, {many.loaded} loaded", many.many),
        (f"the same, requests to all {many.loaded} in turn", many.spread),
    ]
    size = f"{many.scrape_bytes:,} bytes, {many.scrape_series:,} series"
    scrape = f"`/metrics`: {many.scrape_ms:.0f} ms, {size}."
    return f"{rate_table('32 connections', rows)}\n\n{scrape}"


def _has_streams(results: Results) -> bool:
    return bool(results.first_token_ms or results.wall_an_event_us or results.cpu_an_event_us)


def _ratio(results: Results, cell: Cell, peer: str) -> float | None:
    """Return a cell's rate over a peer's in the same place; none if either is unsound."""
    ours = _sound(results, cell)
    theirs = _sound(results, Cell(peer, cell.connections, cell.streamed))
    return None if ours is None or theirs is None else ours.per_second / theirs.per_second


def _sound(results: Results, cell: Cell) -> Load | None:
    load = results.table.get(cell)
    return load if load is not None and load.is_valid else None


def _added_p50(results: Results) -> float | None:
    through, without = (
        _sound(results, Cell(name, 1, streamed=False)) for name in (GRAFTLINE, DIRECT)
    )
    return None if through is None or without is None else through.p50_ms - without.p50_ms


def _difference(times: Mapping[str, float], least: str) -> float | None:
    through, without = times.get(GRAFTLINE), times.get(least)
    return None if through is None or without is None else through - without


def _many_ratio(results: Results) -> float | None:
    many = results.many
    if many is None or not (many.few.is_valid and many.many.is_valid):
        return None
    return many.many.per_second / many.few.per_second


def _as_text(figure: float | None) -> str:
    return "–" if figure is None else f"{figure:.3g}"


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(_lines(heads, rows))


def _lines(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
