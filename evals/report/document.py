"""The report as JSON: everything but the answers, which the table has.

It refuses to shorten anything.
"""

from typing import Any

import msgspec

from evals.report.facts import Facts

VERSION = 1
"""Of this document's form."""


def as_json(facts: Facts) -> bytes:
    """Return the report as one JSON object."""
    evaluation, adapter, job = facts.evaluation, facts.adapter, facts.job
    content: dict[str, Any] = {
        "object": "evaluation.report",
        "version": VERSION,
        "evaluation": {
            "id": evaluation.id,
            "model": evaluation.adapter,
            "heldout_file": evaluation.heldout_file,
            "training_file": evaluation.training_file,
            "created_at": evaluation.created_at,
            "verdict": evaluation.verdict,
            "refusal": (facts.results.get("verdict") or {}).get("refusal"),
            "policy": evaluation.policy,
            "options": evaluation.options,
        },
        "adapter": {
            "name": adapter.name,
            "base_model": adapter.base_model,
            "job": adapter.job_id,
            "step": adapter.step,
            "rank": adapter.rank,
            "manifest_sha256": adapter.manifest_sha256,
        },
        "job": None
        if job is None
        else {
            "id": job.id,
            "seed": job.seed,
            "hyperparameters": job.hyperparameters,
            "training": job.training,
            "trained_tokens": job.trained_tokens,
        },
        "losses": facts.losses,
        "results": facts.results,
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2)
