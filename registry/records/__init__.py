"""The nouns: frozen records that every process reads and writes.

They refuse to know how they are stored, sent or shown.
"""

from registry.records.access import ANY_PROJECT, ApiKey, Scope, UsageRow
from registry.records.adapters import AdapterUse, AdapterVersion
from registry.records.deployments import Arm, ArmOutcome, Deployment, DeploymentChange, RampStep
from registry.records.drift import (
    DriftFigure,
    DriftReport,
    DriftRow,
    DriftState,
    DriftStatistic,
    DriftTarget,
    FeatureDrift,
    FeatureKind,
)
from registry.records.evaluations import Evaluation, EvaluationRow, Verdict
from registry.records.files import DataFile, Purpose
from registry.records.interactions import Feedback, Interaction, InteractionText, Project
from registry.records.jobs import FineTuningJob, JobCheckpoint, JobError, JobEvent
from registry.records.known_answers import KnownAnswer
from registry.records.parts import Heartbeat, Lease
from registry.records.record import Record
from registry.records.uploads import Upload, UploadPart, UploadStatus
from registry.records.webhooks import (
    DeliveryStatus,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)

__all__ = [
    "ANY_PROJECT",
    "AdapterUse",
    "AdapterVersion",
    "ApiKey",
    "Arm",
    "ArmOutcome",
    "DataFile",
    "DeliveryStatus",
    "Deployment",
    "DeploymentChange",
    "DriftFigure",
    "DriftReport",
    "DriftRow",
    "DriftState",
    "DriftStatistic",
    "DriftTarget",
    "Evaluation",
    "EvaluationRow",
    "FeatureDrift",
    "FeatureKind",
    "Feedback",
    "FineTuningJob",
    "Heartbeat",
    "Interaction",
    "InteractionText",
    "JobCheckpoint",
    "JobError",
    "JobEvent",
    "KnownAnswer",
    "Lease",
    "Project",
    "Purpose",
    "RampStep",
    "Record",
    "Scope",
    "Upload",
    "UploadPart",
    "UploadStatus",
    "UsageRow",
    "Verdict",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
]
