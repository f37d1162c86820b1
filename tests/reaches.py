"""Every way to name a record in a request to the API, in one table.

It refuses to know who asks. A new operation, or a new field of one, that can name a record has a
line here; a field that cannot is in `PLAIN`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.dialects.table import DIALECTS

BASE = "tiny-base"


@dataclass(frozen=True)
class Reach:
    """One way to name a record of another project."""

    operation: str
    """Method and path, as the API's description writes them."""
    parameter: str
    """The parameter that names the record: in the path, the query, the form or the body."""
    kind: str
    """What it names."""
    status: int = 404
    """The answer, the same as for a record that does not exist."""
    rest: Mapping[str, Any] = field(default_factory=dict)
    """The other parameters; a kind in braces stands for a record of the caller's own."""
    is_form: bool = False
    """Whether the parameter is sent as a form's field."""
    tells_owners: bool = True
    """Whether the owner's answer is another one."""
    is_list: bool = False
    """Whether the parameter is a list of names."""

    def __str__(self) -> str:
        return f"{self.operation} with {self.kind} as {self.parameter}"


MODELS = ("model", "deployment")
NEW_DEPLOYMENT = {"name": "new", "stable": BASE, "override_reason": "x"}
OWN_DEPLOYMENT = {"name": "{deployment}"}
TRIALS = (("candidate", {"candidate_weight": 0.5}), ("shadow", {"shadow_share": 0.5}))
SOMETHING: Mapping[type, Any] = {list: [], str: "x", int: 1}
EXAM = {"model": "{model}", "heldout_file": "{file}"}
FORM = {"adapter_config": "{}", "adapter_model": "x"}
TABLE = [
    Reach("GET /v1/files", "after", "file"),
    Reach("GET /v1/files/{file_id}", "file_id", "file"),
    Reach("GET /v1/files/{file_id}/content", "file_id", "file"),
    Reach("GET /v1/files/{file_id}/report", "file_id", "file"),
    Reach("GET /v1/files/{file_id}/report.html", "file_id", "file"),
    *(
        Reach(
            f"GET /v1/files/{{file_id}}/{report}",
            "validation_file",
            "file",
            rest={"file_id": "{file}"},
        )
        for report in ("report", "report.html")
    ),
    Reach("GET /v1/files/{file_id}/rows/{line}", "file_id", "file", rest={"line": "1"}),
    Reach(
        "GET /v1/files/{file_id}/rows/{line}",
        "line",
        "file",
        rest={"file_id": "{file}"},
        tells_owners=False,  # a line is a number
    ),
    Reach("DELETE /v1/files/{file_id}", "file_id", "file"),
    *(
        Reach("POST /v1/files/from-feedback", kind, kind, 400, {"purpose": "supervised"})
        for kind in MODELS
    ),
    Reach("GET /v1/fine_tuning/jobs", "after", "job"),
    *(
        Reach(operation, "model", "model", 404, {"training_file": "{file}"})
        for operation in ("POST /v1/fine_tuning/jobs", "POST /v1/estimates")
    ),
    *(
        reach
        for operation in ("POST /v1/fine_tuning/jobs", "POST /v1/estimates")
        for reach in (
            Reach(operation, "training_file", "file", 400, {"model": BASE}),
            Reach(
                operation,
                "validation_file",
                "file",
                400,
                {"model": BASE, "training_file": "{file}"},
            ),
        )
    ),
    Reach("GET /v1/fine_tuning/jobs/{job_id}", "job_id", "job"),
    Reach("POST /v1/fine_tuning/jobs/{job_id}/pause", "job_id", "job"),
    Reach("POST /v1/fine_tuning/jobs/{job_id}/resume", "job_id", "job"),
    Reach("GET /v1/fine_tuning/jobs/{job_id}/events", "job_id", "job"),
    Reach("GET /v1/fine_tuning/jobs/{job_id}/events", "after", "event", rest={"job_id": "{job}"}),
    Reach("GET /v1/fine_tuning/jobs/{job_id}/checkpoints", "job_id", "job"),
    Reach(
        "GET /v1/fine_tuning/jobs/{job_id}/checkpoints",
        "after",
        "checkpoint",
        rest={"job_id": "{job}"},
    ),
    Reach("POST /v1/fine_tuning/jobs/{job_id}/cancel", "job_id", "job"),
    *(
        Reach(f"{method} /v1/fine_tuning/checkpoints/{{name}}", "name", "permissions", 404, rest)
        for method, rest in (("GET", {}), ("POST", {"project_ids": ["x"]}))
    ),
    Reach("DELETE /v1/fine_tuning/checkpoints/{name}", "name", "permission"),
    Reach(
        "POST /v1/uploads/{upload_id}/complete",
        "part_ids",
        "part",
        400,
        {"upload_id": "{upload}"},
        is_list=True,
    ),
    *(
        Reach(f"POST /v1/uploads/{{upload_id}}/{action}", "upload_id", "upload", 404, rest)
        for action, rest in (("complete", {"part_ids": ["part-none"]}), ("cancel", {}))
    ),
    Reach(
        "POST /v1/uploads/{upload_id}/parts",
        "upload_id",
        "upload",
        404,
        {"data": "x"},
        is_form=True,
    ),
    Reach("GET /v1/webhook_endpoints", "after", "webhook"),
    Reach("GET /v1/webhook_endpoints/{webhook_endpoint_id}", "webhook_endpoint_id", "webhook"),
    *(
        Reach(
            f"POST /v1/webhook_endpoints/{{webhook_endpoint_id}}{action}",
            "webhook_endpoint_id",
            "webhook",
            404,
            rest,
        )
        for action, rest in (
            ("", {"name": "taken"}),
            ("/rotate_secret", {}),
            ("/test", {"event_type": "fine_tuning.job.failed"}),
        )
    ),
    Reach(
        "GET /v1/webhook_endpoints/{webhook_endpoint_id}/deliveries",
        "webhook_endpoint_id",
        "webhook",
    ),
    Reach(
        "GET /v1/webhook_endpoints/{webhook_endpoint_id}/deliveries",
        "after",
        "delivery",
        rest={"webhook_endpoint_id": "{webhook}"},
    ),
    Reach("DELETE /v1/webhook_endpoints/{webhook_endpoint_id}", "webhook_endpoint_id", "webhook"),
    Reach("GET /v1/models/{name}", "name", "model"),
    Reach("GET /v1/models/{name}", "name", "deployment"),
    Reach("DELETE /v1/models/{name}", "name", "model"),
    Reach("GET /v1/adapters", "after", "model"),
    Reach("POST /v1/adapters", "heldout_file", "file", 400, FORM, is_form=True),
    Reach("GET /v1/adapters/{name}", "name", "model"),
    Reach("POST /v1/adapters/{name}", "name", "pin"),
    *(
        Reach("POST /v1/deployments", name, "model", 404, NEW_DEPLOYMENT | more)
        for name, more in (("stable", {}), *TRIALS)
    ),
    *(
        Reach(f"{method} /v1/deployments/{{name}}", name, "model", 404, OWN_DEPLOYMENT | more)
        for method in ("PATCH", "POST")
        for name, more in TRIALS
    ),
    *(
        Reach(
            f"{method} /v1/deployments/{{name}}",
            "stable",
            "model",
            400,
            OWN_DEPLOYMENT,
            tells_owners=False,
        )
        for method in ("PATCH", "POST")
    ),
    *(
        Reach(operation, "name", "deployment")
        for operation in (
            "GET /v1/deployments/{name}",
            "GET /v1/deployments/{name}/drift",
            "GET /v1/deployments/{name}/history",
            "PATCH /v1/deployments/{name}",
            "POST /v1/deployments/{name}",
            "POST /v1/deployments/{name}/promote",
            "POST /v1/deployments/{name}/rollback",
        )
    ),
    Reach("GET /v1/deployments/{name}/history", "after", "change", rest={"name": "{deployment}"}),
    Reach("GET /v1/evaluations", "after", "evaluation"),
    Reach("GET /v1/evaluations", "model", "model", 200),
    Reach("POST /v1/evaluations", "model", "model"),
    Reach("POST /v1/evaluations", "heldout_file", "file", 400, {"model": "{model}"}),
    Reach(
        "POST /v1/evaluations",
        "training_file",
        "file",
        400,
        {"model": "{model}", "heldout_file": "{file}"},
    ),
    Reach("POST /v1/evaluations", "deployment", "deployment", 400, EXAM),
    Reach("POST /v1/evaluations", "models", "model", 400, EXAM, is_list=True),
    Reach("POST /v1/evaluations", "suite_files", "file", 400, EXAM, is_list=True),
    Reach("GET /v1/evaluations/{evaluation_id}", "evaluation_id", "evaluation"),
    *(
        Reach(f"GET /v1/evaluations/{{evaluation_id}}/report.{kind}", "evaluation_id", "evaluation")
        for kind in ("html", "csv", "json")
    ),
    Reach("GET /v1/evaluations/{evaluation_id}/rows", "evaluation_id", "evaluation"),
    Reach("GET /v1/interactions", "after", "interaction"),
    Reach("GET /v1/interactions", "model", "model", 200),
    Reach("GET /v1/interactions", "deployment", "deployment", 200),
    Reach("GET /v1/interactions/{interaction_id}", "interaction_id", "interaction"),
    Reach("POST /v1/feedback", "interaction_id", "interaction", rest={"score": 0}),
    Reach("GET /v1/responses/{response_id}", "response_id", "interaction", 400, tells_owners=False),
    Reach(
        "POST /v1/responses/{response_id}/cancel",
        "response_id",
        "interaction",
        400,
        tells_owners=False,
    ),
    Reach("POST /v1/api_keys", "project", "project", 400, {"name": "x", "scopes": ["inference"]}),
    Reach("PATCH /v1/api_keys/{key_id}", "key_id", "key", rest={"name": "taken"}),
    Reach("POST /v1/api_keys/{key_id}/rotate", "key_id", "key"),
    Reach("DELETE /v1/api_keys/{key_id}", "key_id", "key"),
    Reach("GET /v1/usage", "key_id", "key", 200),
    Reach("GET /v1/usage", "model", "model", 200),
    Reach("GET /v1/usage", "project", "project", 400),
    *(
        Reach(
            f"POST {dialect.path}",
            "model",
            kind,
            rest={name: SOMETHING[of] for name, of in dialect.required.items()},
        )
        for dialect in DIALECTS
        for kind in MODELS
    ),
    Reach("DELETE /v1/deployments/{name}", "name", "deployment"),
]
PLAIN = frozenset(
    {
        "limit",
        "order",
        "purpose",
        "arm",
        "since",
        "until",
        "has_feedback",
        "start",
        "end",
        "group_by",
        "min_score",
        "name",
        "scopes",
        "expires_at",
        "expires_in_seconds",
        "requests_per_minute",
        "tokens_per_minute",
        "grace_seconds",
        "messages",
        "prompt",
        "input",
        "stream",
        "tokens",
        "max_tokens",
        "candidate_weight",
        "weights",
        "ramp",
        "ramp_may_fall",
        "shadow_share",
        "unit_from",
        "generation",
        "reason",
        "override_reason",
        "design",
        "outcome",
        "effect",
        "rows",
        "rate",
        "discordant_share",
        "variance",
        "answer_variance",
        "answers",
        "cluster_rows",
        "cluster_correlation",
        "power",
        "alpha",
        "policy",
        "arms",
        "choose_examples",
        "instruction",
        "suites",
        "max_training_rows",
        "measure_loss",
        "judge",
        "decides",
        "use_cache",
        "score",
        "label",
        "comment",
        "correction",
        "suffix",
        "seed",
        "metadata",
        "method",
        "hyperparameters",
        "integrations",
        "training",
        "bytes",
        "filename",
        "mime_type",
        "expires_after",
        "data",
        "md5",
        "url",
        "event_types",
        "event_type",
        "keep_old_secret_active_for_24_hours",
        "project_ids",
        "text_share",
        "text_retention_days",
        "file",
        "adapter_config",
        "adapter_model",
    }
)
"""Parameters that name no record, outside of paths."""
