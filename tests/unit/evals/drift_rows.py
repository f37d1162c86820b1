"""Interactions to be compared: drawn from one distribution, and moved where a test says so."""

from typing import Any

import numpy as np

from evals.drift.comparison import Floor
from evals.drift.features import Columns
from registry.records import DriftRow, FeatureDrift

FLOOR = Floor(rows=200, reference_rows=200)


def row(seq: int = 0, **changes: Any) -> DriftRow:
    """Return an answered chat request."""
    values: dict[str, Any] = {
        "seq": seq,
        "endpoint": "chat.completions",
        "status": 200,
        "finish_reason": "stop",
        "prompt_tokens": None,
        "completion_tokens": None,
        "mean_logprob": None,
        "features": {},
        "created_at": float(seq),
    }
    return DriftRow(**(values | changes))


def drawn(count: int, seed: int, *, longer: float = 1.0, cut_share: float = 0.1) -> list[DriftRow]:
    """Return rows drawn at random.

    Args:
        count: How many.
        seed: Equal seeds draw equal rows.
        longer: What every size of the request is multiplied by.
        cut_share: Share of answers that were cut off.
    """
    draw = np.random.default_rng(seed)
    sizes = draw.lognormal(6, 0.6, size=count) * longer
    answers = draw.poisson(60, size=count)
    cut = draw.random(count) < cut_share
    return [
        row(
            place,
            finish_reason="length" if is_cut else "stop",
            prompt_tokens=int(size / 4),
            completion_tokens=int(answer),
            features={"body_bytes": float(size), "has_tools": 0.0, "messages": 1.0},
        )
        for place, (size, answer, is_cut) in enumerate(zip(sizes, answers, cut, strict=True))
    ]


def columns(rows: list[DriftRow]) -> Columns:
    """Return rows as columns."""
    made = Columns()
    made.add(rows)
    return made


def named(features: list[FeatureDrift]) -> dict[str, FeatureDrift]:
    """Return features by name."""
    return {each.feature: each for each in features}
