"""The section of the methods in `docs/benchmarks.md`.

It refuses to know how figures are made.
"""

from collections.abc import Sequence

from evals.intervals import Estimate
from tests.benchmarks.methods.examination import Asked, Figures
from tests.benchmarks.methods.preferences import Preferences
from tests.benchmarks.serving import machine

COMPARED = ("lora", "qlora", "dora", "full")
"""Techniques that must come to the same."""
_HEADER = (
    "| technique | exact match | full checkpoint | as trained | as published | rise | rank | "
    "epochs | learning rate | s | tokens/s |"
)


def page(found: Sequence[Figures], pairs: Preferences | None, asked: Asked, note: str) -> str:
    """Return the section."""
    chosen = "everything `auto`" + (" but the epochs" if asked.epochs else "")
    about = (
        f"{machine.today()}. `make bench-methods`: each technique trained on {asked.rows} of the "
        f"example tickets with {chosen}, seed {asked.seed}, one run each; then the published "
        "adapter, on the base model as it is served, answered "
        f"{asked.heldout} held-out tickets greedily (transformers). Exact match with Wilson's 95 % "
        "interval; for full fine-tuning also of the full checkpoint. Losses in nats a token, on at "
        "most 200 of them: as trained, as published (plain LoRA of the rank beside), the rise. "
        f"{note}"
    )
    lines = [
        about.strip(),
        *machine.describe(),
        "",
        _HEADER,
        "|---|---|---|---|---|---|---|---|---|---|---|",
        *map(line, found),
        "",
        _overlap([figures for figures in found if figures.technique in COMPARED]),
    ]
    if pairs is not None:
        lines += ["", _told(pairs)]
    return "\n".join(lines) + "\n"


def line(figures: Figures) -> str:
    """Return a technique's line of the table."""
    metrics = figures.version.metrics
    loss = metrics.get("published_loss", metrics["full_valid_loss"])
    cells = [
        figures.technique,
        _interval(figures.exact),
        "" if figures.whole is None else _interval(figures.whole),
        f"{metrics.get('trained_loss', loss):.4f}",
        f"{loss:.4f}",
        f"{metrics.get('conversion_loss', 0.0):+.4f}",
        str(figures.version.rank),
        str(figures.epochs),
        f"{figures.learning_rate:.2g}",
        f"{figures.seconds:.0f}",
        f"{figures.tokens_per_second:,.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _interval(estimate: Estimate) -> str:
    return f"{estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _overlap(found: Sequence[Figures]) -> str:
    """Return whether the techniques lie within one interval of each other."""
    if len(found) < len(COMPARED):
        return "Not all of the techniques that must come to the same were trained."
    lowest = min(figures.exact.high or 0.0 for figures in found)
    highest = max(figures.exact.low or 0.0 for figures in found)
    verdict = "overlap" if highest <= lowest else "do not all overlap"
    return f"The intervals of {', '.join(figures.technique for figures in found)} {verdict}."


def _told(pairs: Preferences) -> str:
    after = pairs.figures
    return (
        f"DPO: a LoRA adapter of {pairs.rows} tickets answered the other training tickets, and its "
        f"wrong answers beside the right ones made {pairs.pairs} pairs to learn from and "
        f"{pairs.heldout_pairs} held-out pairs. Going on from that adapter with everything `auto` "
        f"(learning rate {after.learning_rate:.2g}, {after.epochs} epochs, "
        f"{after.seconds:.0f} s), {pairs.order:.3f} of the held-out pairs came into the right "
        f"order, and exact match on the {after.exact.n} held-out tickets went from "
        f"{_interval(pairs.before)} to {_interval(after.exact)}."
    )
