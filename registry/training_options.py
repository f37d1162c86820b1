"""How a job trains beyond OpenAI's hyperparameters: the request's `training`, checked.

It refuses to know rows, models and what the machine can do: `auto` is resolved by the trainer.
"""

import re
from enum import StrEnum
from typing import Any, Literal

import msgspec

from registry.errors import Invalid
from registry.records.record import Record

Auto = Literal["auto"]


class Technique(StrEnum):
    """Which weights are trained, and in which form.

    All but the first two are converted to plain LoRA before they are published.
    """

    LORA = "lora"
    """Low-rank matrices beside frozen weights (arXiv 2106.09685)."""
    QLORA = "qlora"
    """LoRA beside weights quantised to 4 bits: nf4, double quantisation (arXiv 2305.14314)."""
    DORA = "dora"
    """LoRA with a trained magnitude of each output (arXiv 2402.09353)."""
    FULL = "full"
    """The linear layers' weights themselves; published as a low-rank extraction beside the full
    checkpoint."""
    LOHA = "loha"
    """The product, element by element, of two low-rank matrices (arXiv 2108.06098)."""
    LOKR = "lokr"
    """Kronecker products of small matrices (arXiv 2309.14859)."""
    MISS = "miss"
    """One matrix, shared by shards of the inputs (arXiv 2409.15371)."""
    DELORA = "delora"
    """Low-rank matrices of bounded norm (arXiv 2503.18225)."""
    VERA = "vera"
    """Trained scales on random matrices that all layers share (arXiv 2310.11454)."""
    GRALORA = "gralora"
    """Low-rank matrices for each block of a weight (arXiv 2505.20355)."""
    TINYLORA = "tinylora"
    """A few trained numbers on the weights' own singular vectors (arXiv 2602.04118)."""
    UNILORA = "unilora"
    """LoRA matrices that all draw on one trained vector (arXiv 2506.00799)."""
    VBLORA = "vblora"
    """LoRA matrices mixed from a bank of vectors that all layers share (arXiv 2405.15179)."""
    PSOFT = "psoft"
    """A rotation of the weights' principal subspace (arXiv 2505.11235)."""


LORA_FAMILY = frozenset({Technique.LORA, Technique.QLORA, Technique.DORA})
"""Techniques that the options of LoRA's matrices apply to."""
PLAIN = frozenset({Technique.LORA, Technique.QLORA})
"""Techniques that train plain LoRA matrices."""


class LoraStart(StrEnum):
    """What the LoRA matrices are before the first step."""

    DEFAULT = "default"
    """A random, B zero."""
    PISSA = "pissa"
    """The principal singular vectors of the frozen weights (arXiv 2404.02948)."""


class TrainingOptions(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The request's `training`; every field has a good default."""

    technique: Technique = Technique.LORA
    """Which weights are trained."""
    lora_start: LoraStart = LoraStart.DEFAULT
    """What the LoRA matrices are at first."""
    rank_stabilized: bool = False
    """Whether LoRA's scale is alpha / sqrt(rank) instead of alpha / rank (arXiv 2312.03732)."""
    lora_plus_ratio: float | None = None
    """Learning rate of B to that of A, at least 1 (arXiv 2402.12354); none for equal ones."""
    lora_dropout: float = 0.0
    """Share of LoRA's inputs that are dropped in a step, 0 up to below 1."""
    target_modules: Literal["all-linear"] | list[str] = "all-linear"
    """Names of the linear layers that are adapted; all but the head by default."""
    rank_pattern: dict[str, int] = msgspec.field(default_factory=dict)
    """Ranks of some layers, by the end of their names or a pattern, as in PEFT."""
    alpha_pattern: dict[str, int] = msgspec.field(default_factory=dict)
    """Alphas of some layers, likewise."""
    train_embeddings: bool = False
    """Whether full fine-tuning moves embeddings, norms and head too, which the published
    extraction leaves out: only the full checkpoint has them (docs/decisions/016)."""
    max_conversion_loss: float = 0.1
    """Largest rise of the validation loss, in nats a token, that a conversion to plain LoRA may
    cost; above it nothing is published."""
    packing: bool | Auto = "auto"
    """Whether several rows share one sequence, without seeing one another."""
    gradient_checkpointing: bool | Auto = "auto"
    """Whether activations are computed again instead of kept."""
    max_length: int | None = None
    """Longest row in tokens, at least 16; the engine's context by default."""
    early_stopping_patience: int | None = None
    """Epochs without a lower validation loss after which the training ends, at least 1."""
    keep_best: bool = True
    """Whether the published version is the epoch with the lowest validation loss; else the last."""

    @property
    def is_plain(self) -> bool:
        """Whether the trained matrices are published as they are."""
        return self.technique in PLAIN and self.lora_start is LoraStart.DEFAULT


_BOUNDS: dict[str, tuple[float, float]] = {
    "lora_plus_ratio": (1, 1024),
    "lora_dropout": (0, 0.99),
    "max_conversion_loss": (0, 100),
    "max_length": (16, 1 << 20),
    "early_stopping_patience": (1, 50),
}
_MAX_NAMES = 64
_LORA_ONLY = ("rank_stabilized", "lora_plus_ratio", "lora_dropout", "rank_pattern", "alpha_pattern")
_FROM_PARENT = (
    "lora_start",
    "rank_stabilized",
    "target_modules",
    "rank_pattern",
    "alpha_pattern",
)
# The engine runs each pattern as a regular expression: only those that cannot run for long pass.
_PATTERN = re.compile(r"[A-Za-z0-9_\-.\\^]*(?:\*[A-Za-z0-9_\-.\\^]*){0,2}")


def read_options(requested: dict[str, Any]) -> TrainingOptions:
    """Return a request's options with defaults for what it does not choose.

    Raises:
        Invalid: A field is unknown, of the wrong type or out of range, or does not go together
            with the technique; it is named.
    """
    try:
        options = msgspec.convert(requested, TrainingOptions)
    except msgspec.ValidationError as exc:
        raise Invalid(f"'training' cannot be used: {exc}.", "training") from exc
    for name, (low, high) in _BOUNDS.items():
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise Invalid(f"'{name}' must lie between {low:g} and {high:g}.", f"training.{name}")
    for name in ("target_modules", "rank_pattern", "alpha_pattern"):
        if not isinstance(getattr(options, name), str):
            _check_names(name, getattr(options, name))
    _check_combination(options)
    return options


def check_continuation(options: TrainingOptions) -> None:
    """Refuse options that cannot be had when training goes on from an earlier version.

    Raises:
        Invalid: The technique does not train plain LoRA matrices, or an option would change the
            shape that the earlier version has; it is named.
    """
    if options.technique not in PLAIN:
        wanted = "' or '".join(sorted(PLAIN))
        raise Invalid(
            f"The technique '{options.technique}' cannot go on from an earlier version, which is "
            f"plain LoRA. Use '{wanted}', or train on the base model.",
            "training.technique",
        )
    for name in _FROM_PARENT:
        if getattr(options, name) != getattr(TrainingOptions(), name):
            raise Invalid(
                f"'{name}' is what the earlier version has and cannot be chosen anew. Leave it "
                "out, or train on the base model.",
                f"training.{name}",
            )


def _check_combination(options: TrainingOptions) -> None:
    technique = options.technique
    if technique not in LORA_FAMILY:
        for name in _LORA_ONLY:
            if getattr(options, name) != getattr(TrainingOptions(), name):
                known = ", ".join(sorted(LORA_FAMILY))
                raise Invalid(
                    f"'{name}' is an option of {known}, not of '{technique}'. Leave it out.",
                    f"training.{name}",
                )
    if options.lora_start is LoraStart.PISSA and technique is not Technique.LORA:
        raise Invalid(
            f"The start 'pissa' goes together with the technique 'lora', not '{technique}'.",
            "training.lora_start",
        )
    if technique is Technique.FULL and options.target_modules != "all-linear":
        raise Invalid(
            "'full' trains every linear layer. Leave 'target_modules' out, or use another "
            "technique.",
            "training.target_modules",
        )
    if options.train_embeddings and technique is not Technique.FULL:
        raise Invalid(
            f"'train_embeddings' is an option of 'full', not of '{technique}'. Leave it out.",
            "training.train_embeddings",
        )


def _check_names(name: str, value: list[str] | dict[str, int]) -> None:
    where = f"training.{name}"
    if name == "target_modules" and not value:
        raise Invalid("'target_modules' names no layer. Name some, or use 'all-linear'.", where)
    if len(value) > _MAX_NAMES or not all(value):
        raise Invalid(f"'{name}' must have at most {_MAX_NAMES} names, none empty.", where)
    if not all(_PATTERN.fullmatch(key) for key in value):
        message = f"A name in '{name}' may have letters, digits, '_', '-', '.', '\\', '^' and '*'."
        raise Invalid(message, where)
    if isinstance(value, dict) and not all(1 <= number <= 1024 for number in value.values()):
        raise Invalid(f"Each value of '{name}' must lie between 1 and 1024.", where)
