"""Records as tests want them: sound, plain, and changed where a test says so.

It refuses to store anything, and to know which claim a test makes.
"""

import time
from typing import Any

from registry.lifecycle import AdapterStatus, JobStatus
from registry.records import (
    AdapterVersion,
    ApiKey,
    Arm,
    Deployment,
    FineTuningJob,
    Interaction,
    Scope,
    UsageRow,
)


def interaction(identifier: str = "chatcmpl-1", **changes: Any) -> Interaction:
    """Return an answered chat request to the base model."""
    values: dict[str, Any] = {
        "id": identifier,
        "project": "default",
        "deployment": None,
        "arm": Arm.NONE,
        "model": "tiny-base",
        "unit_hash": None,
        "endpoint": "chat.completions",
        "status": 200,
        "finish_reason": "stop",
        "prompt_tokens": 3,
        "completion_tokens": 5,
        "first_token_seconds": None,
        "duration_seconds": 0.2,
        "created_at": time.time(),
    }
    return Interaction(**(values | changes))


def adapter_version(name: str, **changes: Any) -> AdapterVersion:
    """Return an adapter version that is ready."""
    values: dict[str, Any] = {
        "name": name,
        "project": "default",
        "base_model": "tiny-base",
        "job_id": None,
        "step": None,
        "directory": name,
        "manifest_sha256": "0",
        "rank": 8,
        "heldout_file": None,
        "training_file": None,
        "status": AdapterStatus.READY,
        "created_at": 1,
    }
    return AdapterVersion(**(values | changes))


def deployment(name: str = "support", **changes: Any) -> Deployment:
    """Return the first generation of a deployment of the base model."""
    values: dict[str, Any] = {
        "name": name,
        "project": "default",
        "stable": "tiny-base",
        "candidate": None,
        "candidate_weight": 0.0,
        "salt": "salt",
        "generation": 1,
        "created_at": 1,
        "updated_at": 1,
    }
    return Deployment(**(values | changes))


def fine_tuning_job(identifier: str, **changes: Any) -> FineTuningJob:
    """Return a job that waits to be validated."""
    values: dict[str, Any] = {
        "id": identifier,
        "project": "default",
        "model": "tiny-base",
        "training_file": "file-1",
        "validation_file": None,
        "suffix": None,
        "seed": 1,
        "method": {"type": "supervised"},
        "hyperparameters": {"n_epochs": "auto"},
        "metadata": {},
        "status": JobStatus.VALIDATING_FILES,
        "created_at": 1,
    }
    return FineTuningJob(**(values | changes))


def api_key(identifier: str = "key-1", **changes: Any) -> ApiKey:
    """Return a key that may infer, without limits and without an end."""
    values: dict[str, Any] = {
        "id": identifier,
        "project": "default",
        "name": "x",
        "secret_sha256": "a",
        "scopes": [Scope.INFERENCE],
        "created_at": 1,
    }
    return ApiKey(**(values | changes))


def usage_row(**changes: Any) -> UsageRow:
    """Return what one key used of one version on one day."""
    values: dict[str, Any] = {
        "project": "p",
        "key_id": "key-1",
        "model": "m",
        "day": "2026-11-25",
        "requests": 2,
        "prompt_tokens": 10,
        "completion_tokens": 5,
    }
    return UsageRow(**(values | changes))
