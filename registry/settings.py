"""Every setting, read once from the environment (prefix `GRAFTLINE_`).

It refuses to know how a setting is used. No other module reads the environment.
"""

from collections.abc import Mapping
from os import environ  # noqa: TID251 - this is the one module that may
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from registry.addresses import check_bucket, check_urls, trimmed

MAX_PORT = 65535
"""The highest port there is."""
PORT_STEP = 10
"""Between the ports of two local vLLM servers; the ports between belong to the other parts."""
_PACKAGED_BASE = Path(__file__).parent / "tiny_base"
_CHECKOUT_BASE = Path(__file__).parent.parent / "examples" / "tiny-base"


def embedded_base() -> Path:
    """Return the folder of the tiny base model that comes with Graftline."""
    return _PACKAGED_BASE if _PACKAGED_BASE.exists() else _CHECKOUT_BASE


class Settings(BaseSettings):
    """Graftline's settings. Each can be set as `GRAFTLINE_<NAME>`."""

    model_config = SettingsConfigDict(
        env_prefix="GRAFTLINE_", use_attribute_docstrings=True, frozen=True
    )

    data_dir: Path = Path(".graftline")
    """Folder for the database, files, adapters, logs and keys."""
    database_url: SecretStr | None = None
    """SQLAlchemy URL of the database, such as `postgresql+psycopg://…`; SQLite in `data_dir` by
    default."""
    base_model: str = Field(default_factory=lambda: str(embedded_base()))
    """Hugging Face name or local path of the base model; the embedded tiny model by default."""
    base_model_name: str | None = None
    """Name clients use for the base model; by default the last part of its path, or its full
    Hugging Face name."""
    database_seconds: float = Field(default=5.0, gt=0)
    """Longest time the service waits for the database before it answers 503, in seconds."""
    host: str = "127.0.0.1"
    """Address the service listens on."""
    port: int = Field(default=8080, ge=1, le=65535)
    """Port the service listens on."""
    engine_url: str | None = None
    """URL of a vLLM server that runs already, or several with commas between them; by default
    `graftline up` starts one."""
    engine_dns: str | None = None
    """URL, such as `http://vllm.default.svc:8000`, whose host name has one address for each vLLM
    server; it is looked up again every few seconds."""
    engine_port: int = Field(default=8081, ge=1, le=65535)
    """Port, on the loopback address, of the vLLM server that `graftline up` starts; each further
    one listens ten ports higher."""
    engine_replicas: int = Field(default=1, ge=1, le=64)
    """vLLM servers that `graftline up` starts."""
    trainer_port: int = Field(default=8082, ge=1, le=65535)
    """Port, on the loopback address, of the trainer's metrics."""
    evals_port: int = Field(default=8083, ge=1, le=65535)
    """Port, on the loopback address, of the evals module's metrics."""
    engine_key: SecretStr | None = None
    """Key of the vLLM server, if it was started with one."""
    limits_url: SecretStr | None = None
    """Where keys' requests and tokens of the minute are counted, such as `redis://host:6379/0` or
    `valkey://host:6379/0`; by default each service process counts by itself in memory."""
    metrics_key: SecretStr | None = None
    """Bearer token that `/metrics` of the service asks for; by default it asks for none."""
    max_upload_bytes: int = Field(default=512 * 1024 * 1024, ge=1)
    """Largest file that `POST /v1/files` takes, in bytes."""
    max_adapter_bytes: int = Field(default=2 * 1024 * 1024 * 1024, ge=1)
    """Largest `adapter_model.safetensors` that `POST /v1/adapters` takes, in bytes."""
    artifacts_url: str | None = None
    """Where adapters are kept, such as `s3://bucket/prefix`; by default only in `data_dir`. With a
    bucket `data_dir` is a cache of it. Credentials and region come from the usual `AWS_…`
    variables."""
    artifacts_endpoint: str | None = None
    """URL of a server other than Amazon's that speaks its S3 interface, such as
    `http://minio:9000`."""
    signing_key: Path | None = None
    """PEM file with the private key (elliptic curve P-256, P-384 or P-521) that signs every adapter
    when it is published or imported; unsigned by default."""
    verification_key: Path | None = None
    """PEM file with the public key that the signature of an adapter must fit before it is loaded;
    by default no signature is asked for."""
    max_loras: int = Field(default=4, ge=1)
    """Adapter versions the engine can use in one step: stable, candidate and those draining."""
    max_loaded_adapters: int = Field(default=64, ge=1)
    """Most adapter versions loaded on one vLLM server, each in its memory; only what deployments
    name may exceed it."""
    max_lora_rank: int = Field(default=32, ge=1)
    """Largest LoRA rank the engine takes: 1, 8, 16, 32, 64, 128, 256, 320 or 512."""
    max_model_len: int = Field(default=2048, ge=16)
    """Longest sequence, in tokens, for the engine and for training."""
    engine_kv_cache_gib: int = Field(default=1, ge=1)
    """Memory of the CPU engine's key–value cache, in GiB."""
    reconcile_seconds: float = Field(default=1.0, gt=0)
    """Time between two comparisons of wanted and loaded adapters, in seconds."""
    request_deadline_seconds: float = Field(default=600.0, gt=0)
    """Longest time one inference request may take, in seconds."""
    max_in_flight: int = Field(default=1024, ge=1)
    """Inference requests that one service process has in flight at a time; more wait."""
    max_queued: int = Field(default=1024, ge=0)
    """Inference requests that wait at a time; more are answered with 503."""
    queue_seconds: float = Field(default=30.0, gt=0)
    """Longest time an inference request waits for its turn, in seconds."""
    client_seconds: float = Field(default=30.0, gt=0)
    """Longest time a client may take to send the head of a request, to begin a body that then comes
    at 4 KiB a second or more, or to take the next piece of its answer, in seconds; then its
    connection is closed."""
    max_request_bytes: int = Field(default=32 * 1024 * 1024, ge=1024)
    """Largest body of an inference request, in bytes; a larger one is answered with 413."""
    shadow_concurrency: int = Field(default=4, ge=1)
    """Copies of requests that one service process has in flight for shadows; more wait or are
    dropped."""
    report_seconds: float = Field(default=300.0, gt=0)
    """Longest time a report on a data file, or a look at one of its rows, takes, in seconds."""
    probe_min_effect_nats: float = Field(default=0.001, ge=0)
    """Smallest mean change of log-probability, in nats a token, that shows an adapter works."""
    probe_tolerance_nats: float = Field(default=0.15, gt=0)
    """Largest mean difference, in nats a token, between the engine's and the trainer's
    log-probabilities."""
    interaction_queue_bytes: int = Field(default=80 * 1024 * 1024, ge=1024 * 1024)
    """Memory for interactions and texts that wait to be stored, in bytes; what does not fit is
    dropped and counted."""
    checkpoint_steps: int = Field(default=50, ge=1)
    """Optimiser steps between two points from which a killed job resumes."""
    trainer_concurrency: int = Field(default=1, ge=1)
    """Jobs that one trainer runs at a time."""
    training_gpus: int = Field(default=1, ge=1, le=64)
    """GPUs of the trainer's machine that one job uses; with more than one torchrun starts a process
    for each."""
    training_memory_bytes: int | None = Field(default=None, ge=1024 * 1024)
    """Most memory that one job's training may take, in bytes; beyond it the job goes on with less
    at a time, and fails when that is not possible. By default what the machine has."""
    training_seconds: float | None = Field(default=None, gt=0)
    """Longest time that one job's training may take, pauses excluded, in seconds; then the job
    fails. By default there is no limit."""
    training_disk_bytes: int | None = Field(default=None, ge=1024 * 1024)
    """Most disk that one job's folder may take while it trains, in bytes; then the job fails. By
    default there is no limit."""
    project_running_jobs: int | None = Field(default=None, ge=1)
    """Jobs of one project that train at a time, over all trainers; more wait. By default as many as
    the trainers run."""
    price_per_hour: float = Field(default=0.0, ge=0)
    """What an hour of training costs, in `price_currency`; for estimates."""
    price_currency: str = Field(default="USD", min_length=1, max_length=8)
    """The currency of `price_per_hour`."""
    training_flops: float | None = Field(default=None, gt=0)
    """Floating-point operations a second that training reaches here, for estimates before any job
    has ended; by default 20 billion for each processor of the service's machine."""
    evals_concurrency: int = Field(default=32, ge=1)
    """Requests that one evaluation has in flight."""
    answer_cache_bytes: int = Field(default=256 * 1024 * 1024, ge=0)
    """Most bytes of base models' answers that are kept for later evaluations, all projects
    together; the oldest go first, and 0 keeps none."""
    answer_cache_days: float = Field(default=30.0, gt=0)
    """Age at which a kept answer is dropped, in days."""
    max_event_streams: int = Field(default=256, ge=0)
    """Streams of jobs' events that one service process sends at a time; more are answered with
    503."""
    event_stream_seconds: float = Field(default=3600.0, gt=0)
    """Longest time one stream of a job's events lasts, in seconds; then the client asks again from
    the last event it saw."""
    webhook_plain_http: bool = False
    """Whether webhooks may go to URLs with `http://`, where anybody on the way can read them."""
    webhook_private_addresses: bool = False
    """Whether webhooks may go to addresses that are not public, such as a server in your own
    network."""
    webhook_deadline_seconds: float = Field(default=15.0, gt=0)
    """Longest time one try to deliver a webhook may take, in seconds."""
    webhook_retry_hours: float = Field(default=72.0, ge=0)
    """Time during which a webhook that was not taken is tried again, in hours."""
    wandb_key: SecretStr | None = None
    """Key of Weights & Biases, with which the trainer shows the jobs that ask for it."""
    wandb_url: str | None = None
    """Address of a Weights & Biases server of your own; its hosted service by default."""
    wandb_mode: Literal["online", "offline"] = "online"
    """`offline` writes runs into `wandb` in the data directory, needs no key and sends nothing."""
    mlflow_url: SecretStr | None = None
    """Address of an MLflow tracking server, or a database, where the trainer shows every job."""
    tensorboard_dir: Path | None = None
    """Folder where the trainer writes every job's figures for TensorBoard."""
    policy_file: Path | None = None
    """YAML file with the policy that evaluations follow and promotions ask for; by default the
    built-in policy is a default only, and a request may choose its own."""
    cost_per_million_prompt_tokens: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """What a million prompt tokens cost you, in any currency; 0 leaves money out of the
    results."""
    cost_per_training_hour: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """What an hour of training costs you, in the same currency."""
    cost_per_million_adapter_requests: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """What serving a million requests with an adapter costs you beyond the base model, in the same
    currency."""
    suites_dir: Path | None = None
    """Folder of JSONL files, each a suite that every evaluation asks too; none by default."""
    judge_url: str | None = None
    """Address of an OpenAI-compatible endpoint, up to and with `/v1`, whose model judges answers
    where an evaluation asks for it and names no other."""
    judge_key: SecretStr | None = None
    """Key of that endpoint."""
    judge_model: str | None = None
    """The judge's model there."""
    drift_seconds: float = Field(default=300.0, ge=0)
    """Time between two comparisons of a version's latest requests with its first, in seconds; 0 for
    none."""
    drift_reference_rows: int = Field(default=1000, ge=50, le=100_000)
    """Interactions that a version's latest are compared with: the first it answered as a
    deployment's stable version or candidate."""
    drift_window_rows: int = Field(default=1000, ge=50, le=100_000)
    """Interactions of the window that is compared: the latest after those."""
    drift_min_rows: int = Field(default=200, ge=50)
    """Fewest rows with a value, on each side, for a figure on drift; at most the smaller of the two
    settings above."""
    shutdown_seconds: float = Field(default=10.0, gt=0)
    """Time a process gets to finish what it is doing when it is asked to stop, in seconds."""
    log_level: str = "INFO"
    """`DEBUG`, `INFO`, `WARNING` or `ERROR`."""

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        """Refuse what cannot be meant: addresses of vLLM servers, a floor over the ceiling."""
        if self.engine_url is not None and self.engine_dns is not None:
            raise ValueError(
                "GRAFTLINE_ENGINE_URL and GRAFTLINE_ENGINE_DNS are both set; keep one of them"
            )
        if self.engine_url is not None:
            check_urls("GRAFTLINE_ENGINE_URL", self.engine_urls, ("http", "https"))
        if self.engine_dns is not None:
            check_urls("GRAFTLINE_ENGINE_DNS", (trimmed(self.engine_dns),), ("http",))
        check_bucket(self.artifacts_url, self.artifacts_endpoint)
        if self.drift_min_rows > min(self.drift_reference_rows, self.drift_window_rows):
            raise ValueError(
                "GRAFTLINE_DRIFT_MIN_ROWS is more than GRAFTLINE_DRIFT_REFERENCE_ROWS or "
                "GRAFTLINE_DRIFT_WINDOW_ROWS; there would never be a figure"
            )
        if self.runs_engines and self.engine_ports[-1] > MAX_PORT:
            raise ValueError(
                f"GRAFTLINE_ENGINE_REPLICAS needs ports up to {self.engine_ports[-1]}; "
                "choose a lower GRAFTLINE_ENGINE_PORT or fewer replicas"
            )
        return self

    @property
    def store_url(self) -> str:
        """URL of the store's database."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{self.data_dir.absolute() / 'graftline.db'}"

    @property
    def queue_url(self) -> str:
        """URL of the durable queue's database, in the form dbos takes (no async driver)."""
        if self.database_url is not None:
            return self.store_url
        return f"sqlite:///{self.data_dir.absolute() / 'queue.db'}"

    @property
    def base_name(self) -> str:
        """Name clients use for the base model."""
        if self.base_model_name:
            return self.base_model_name
        if Path(self.base_model).exists():
            return (
                "tiny-base"
                if Path(self.base_model) == embedded_base()
                else (Path(self.base_model).resolve().name)
            )
        return self.base_model

    @property
    def runs_engines(self) -> bool:
        """Whether `graftline up` starts the vLLM servers."""
        return self.engine_url is None and self.engine_dns is None

    @property
    def engine_ports(self) -> tuple[int, ...]:
        """Port of each vLLM server that `graftline up` starts."""
        return tuple(self.engine_port + PORT_STEP * index for index in range(self.engine_replicas))

    @property
    def engine_urls(self) -> tuple[str, ...]:
        """URL of each vLLM server, without a path; none when they are found by name."""
        if self.engine_url is not None:
            return tuple(trimmed(url) for url in self.engine_url.split(","))
        if self.engine_dns is not None:
            return ()
        return tuple(f"http://127.0.0.1:{port}" for port in self.engine_ports)

    @property
    def engine_base_url(self) -> str:
        """URL of the first vLLM server, or the one that names them all, without a path."""
        return self.engine_urls[0] if self.engine_urls else trimmed(self.engine_dns or "")

    @property
    def service_url(self) -> str:
        """URL under which Graftline's own processes reach the service."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 - compared, not bound
        return f"http://{host}:{self.port}"

    @property
    def files_dir(self) -> Path:
        """Folder of the stored files."""
        return self.data_dir.absolute() / "files"

    @property
    def uploads_dir(self) -> Path:
        """Folder of the parts of pending uploads."""
        return self.data_dir.absolute() / "uploads"

    @property
    def file_reports_dir(self) -> Path:
        """Folder of the reports on files, one folder for each file."""
        return self.data_dir.absolute() / "reports" / "files"

    @property
    def exam_reports_dir(self) -> Path:
        """Folder of the evaluations' reports."""
        return self.data_dir.absolute() / "reports" / "evaluations"

    @property
    def adapters_dir(self) -> Path:
        """Folder of the published adapters."""
        return self.data_dir.absolute() / "adapters"

    @property
    def work_dir(self) -> Path:
        """Folder of the jobs in progress."""
        return self.data_dir.absolute() / "work"

    @property
    def admin_key_file(self) -> Path:
        """File with the first admin key."""
        return self.data_dir.absolute() / "admin.key"

    @property
    def evals_key_file(self) -> Path:
        """File with the key that the evals module uses."""
        return self.data_dir.absolute() / "evals.key"


def child_environment(settings: Settings, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a process we start: ours, every setting, and `extra`."""
    chosen = {
        f"GRAFTLINE_{name.upper()}": _as_text(getattr(settings, name))
        for name in Settings.model_fields
        if getattr(settings, name) is not None
    }
    return {**environ, **chosen, **(extra or {})}


def process_number() -> int:
    """Return this process's number among those that torchrun started; 0 for one started alone."""
    return int(environ.get("RANK", "0"))


def training_environment(settings: Settings) -> dict[str, str]:
    """Return the environment for a training child: like ours, but without any secret."""
    secret_words = (
        "KEY",
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "CREDENTIAL",
        "DATABASE_URL",
        "LIMITS_URL",
        "MLFLOW_URL",
    )
    return {
        name: value
        for name, value in child_environment(settings).items()
        if not any(word in name.upper() for word in secret_words)
    }


def _as_text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
