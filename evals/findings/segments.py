"""Parts of the exam in which the adapter does worst.

It refuses to know how rows came by their segment.
"""

import msgspec

from evals.compare import Difference, MetricKind, differences
from evals.findings.evidence import Evidence
from evals.intervals import benjamini_hochberg
from registry.records import Record

MIN_ROWS = 5
"""Fewest rows of a segment that is shown."""
MAX_SEGMENTS = 200
"""Most segments compared: those with the most rows."""


class Segment(Record, frozen=True, kw_only=True):
    """The adapter against the better baseline in one segment."""

    segment: str
    """Its name."""
    difference: Difference
    """On the primary metric; `p_adjusted` is Benjamini and Hochberg's over all segments."""


def find_segments(evidence: Evidence, baseline: str) -> list[Segment] | None:
    """Return the segments, worst first; none where no row has one."""
    suite, policy = evidence.heldout, evidence.policy
    kind = suite.kinds.get(policy.primary_metric)
    rows: dict[str, list[int]] = {}
    for row, name in suite.segments.items():
        rows.setdefault(name, []).append(row)
    large = [name for name, members in rows.items() if len(members) >= MIN_ROWS]
    if kind is None or not large or baseline not in suite.scores:
        return None
    chosen = sorted(large, key=lambda name: (-len(rows[name]), name))[:MAX_SEGMENTS]
    found = {
        name: differences(
            suite.scores,
            {policy.primary_metric: kind},
            [baseline],
            alpha=policy.alpha,
            seed=policy.seed,
            clusters=suite.clusters,
            rows=rows[name],
        )[0]
        for name in chosen
    }
    return _ranked(found, kind)


def _ranked(found: dict[str, Difference], kind: MetricKind) -> list[Segment]:
    known = {name: each for name, each in found.items() if each.p_value is not None}
    adjusted = benjamini_hochberg([each.p_value or 0.0 for each in known.values()])
    sign = 1 if kind.higher_is_better else -1
    segments = [
        Segment(segment=name, difference=msgspec.structs.replace(each, p_adjusted=p_value))
        for (name, each), p_value in zip(known.items(), adjusted, strict=True)
    ]
    return sorted(
        segments, key=lambda each: (sign * (each.difference.estimate or 0.0), each.segment)
    )
