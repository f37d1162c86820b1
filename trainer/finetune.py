"""The training itself: transformers' Trainer, peft's methods, loss only on answers.

It refuses to know the store, the queue and the process it runs in.
"""

import math
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import torch
from transformers import TrainingArguments, set_seed

from registry.chatdata import Row
from registry.errors import TrainingFailed
from registry.processor import processor_name
from registry.rendering import template_sha256
from trainer import checkpoints, run
from trainer.adapter_trainer import AdapterTrainer, Layout
from trainer.base_config import read_shape
from trainer.batches import BatchOrder, Example, tokenise
from trainer.demand import attention_for, footprint_for
from trainer.follower import Exhausted, Follower, Report
from trainer.harvest import gather, history_of
from trainer.language_model import (
    engine_dtype,
    has_fast_half_precision,
    identity,
    load_tokenizer,
    require_same_base,
    save_adapter,
)
from trainer.plan import AUTO_BETA
from trainer.preference import with_reference
from trainer.preference_trainer import PreferenceTrainer
from trainer.protocol import DPO, Notice, Plan, Result
from trainer.run import Material, Schedule
from trainer.stopping import Stopped, Stopping
from trainer.techniques import load_trainable
from trainer.workplace import Workplace

LIBRARIES = (
    "graftline",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "safetensors",
    "tokenizers",
)
SMALL_HIDDEN_SIZE = 512
"""Width below which one thread is faster than several: at 192, a step of 8 rows of 100 tokens took
0.12 s on one thread and 0.21 s on two."""


def train(plan: Plan, place: Workplace, report: Report, stopping: Stopping) -> Result | None:
    """Train the adapter of a plan, from its newest checkpoint if there is one.

    Returns:
        What was trained; none in a process that only helped another one.

    Raises:
        TrainingFailed: The rows, the base model or the loss make it impossible.
        Stopped: The process was asked to end; the newest checkpoint is sealed.
    """
    place.checkpoints.mkdir(parents=True, exist_ok=True)
    checkpoint = checkpoints.newest(place.checkpoints)
    material = _tokenise(plan, place)
    if checkpoint is None:
        for notice in material.notices:
            report(notice)
    else:
        step = checkpoints.step_of(checkpoint)
        report(Notice(level="info", message=f"Training resumes from step {step}."))
    schedule = run.schedule(plan.hyperparameters, material)
    require_same_base(plan)
    set_seed(plan.seed)
    if read_shape(plan.base_model).hidden_size < SMALL_HIDDEN_SIZE:
        torch.set_num_threads(1)
    model = load_trainable(plan, place, attention_for(max(map(_longest, material.training))))
    material = _referenced(plan, model, material)
    trainer = _trainer(plan, place, material, schedule, model)
    follower = Follower(
        plan=plan,
        place=place,
        material=material,
        schedule=schedule,
        trainer=trainer,
        report=report,
        stopping=stopping,
    )
    trainer.add_callback(follower)
    _run(trainer, checkpoint, stopping)
    if not trainer.is_world_process_zero():
        return None
    return _result(plan, place, material, schedule, trainer, follower, report)


def _run(trainer: AdapterTrainer, checkpoint: Path | None, stopping: Stopping) -> None:
    with stopping.deferred():
        try:
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        except Exhausted:
            return
    if stopping.is_asked:
        raise Stopped


def _result(
    plan: Plan,
    place: Workplace,
    material: Material,
    schedule: Schedule,
    trainer: AdapterTrainer,
    follower: Follower,
    report: Report,
) -> Result:
    step = follower.settle()
    full = follower.measure_all()
    save_adapter(trainer.model, place.final, plan.base_name)
    history = history_of(trainer.state.log_history)
    passes = trainer.state.global_step // schedule.steps_per_epoch
    return Result(
        versions=gather(
            place,
            plan=plan,
            material=material,
            history=history,
            full=full,
            step=step,
            report=report,
        ),
        history=history,
        trained_tokens=passes * sum(example.targets for example in material.training),
        base_sha256=identity(plan),
        libraries={name: version(name) for name in LIBRARIES},
        settings=_circumstances(plan, schedule, trainer),
        template_sha256=template_sha256(load_tokenizer(plan.base_model)),
    )


def _tokenise(plan: Plan, place: Workplace) -> Material:
    tokenizer = load_tokenizer(plan.base_model)
    sides: dict[str, list[Example]] = {"training": [], "validation": []}
    notices: list[Notice] = []
    for kind, path in (("training", place.training), ("validation", place.validation)):
        if path.exists():
            rows = msgspec.json.Decoder(Row).decode_lines(path.read_bytes())
            found = tokenise(tokenizer, rows, max_length=plan.max_length, kind=kind)
            sides[kind] = found.examples
            notices.extend(found.notices)
    padding = tokenizer.pad_token_id
    return Material(
        training=sides["training"],
        heldout=sides["validation"],
        padding=tokenizer.eos_token_id or 0 if padding is None else padding,
        notices=notices,
    )


def _referenced(plan: Plan, model: Any, material: Material) -> Material:  # noqa: ANN401 - transformers ships no types
    """Return pairs with what the model makes of them before its first step; rows as they are."""
    if plan.method != DPO:
        return material
    if torch.cuda.is_available():
        model.to("cuda")
    precise = has_fast_half_precision()
    training, heldout = (
        with_reference(model, pairs, material.padding, half_precision=precise)
        for pairs in (material.training, material.heldout)
    )
    return msgspec.structs.replace(material, training=training, heldout=heldout)


def _trainer(
    plan: Plan,
    place: Workplace,
    material: Material,
    schedule: Schedule,
    model: Any,  # noqa: ANN401 - transformers ships no types
) -> AdapterTrainer:
    lengths = material.lengths
    footprint = footprint_for(plan, place, max(lengths))
    order = run.order_of(plan.hyperparameters, lengths, plan.seed)
    is_pairs = plan.method == DPO
    packing = not is_pairs and _packs(plan, order, lengths)
    options: dict[str, Any] = {
        "order": order,
        "padding": material.padding,
        "layout": Layout(tokens=footprint.tokens, packing=packing),
        "lora_plus_ratio": plan.options.lora_plus_ratio,
        "model": model,
        "args": _arguments(plan, place, schedule, recompute=footprint.gradient_checkpointing),
        "train_dataset": material.training,
    }
    if is_pairs:
        return PreferenceTrainer(beta=plan.hyperparameters.beta or AUTO_BETA, **options)
    return AdapterTrainer(**options)


def _longest(example: Example) -> int:
    return len(example.input_ids)


def _packs(plan: Plan, order: BatchOrder, lengths: list[int]) -> bool:
    try:
        return run.packs(plan.options, order, lengths, read_shape(plan.base_model).model_type)
    except ValueError as exc:
        message = f"Packing cannot be used: {exc}. Leave 'packing' out, and create the job again."
        raise TrainingFailed("unsupported_packing", message, "training.packing") from exc


def _arguments(
    plan: Plan, place: Workplace, schedule: Schedule, *, recompute: bool
) -> TrainingArguments:
    chosen = plan.hyperparameters
    uses_gpu = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(place.checkpoints),
        per_device_train_batch_size=chosen.batch_size,
        num_train_epochs=chosen.n_epochs,
        learning_rate=chosen.learning_rate,
        lr_scheduler_type=chosen.schedule,
        warmup_steps=math.ceil(chosen.warmup_share * schedule.total_steps),
        weight_decay=chosen.weight_decay,
        max_grad_norm=chosen.max_grad_norm,
        average_tokens_across_devices=False,  # every process knows the targets of the whole step
        optim="adamw_torch_fused",
        seed=plan.seed,
        use_cpu=not uses_gpu,
        bf16=has_fast_half_precision(),
        gradient_checkpointing=recompute,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        logging_steps=schedule.logging_steps,
        logging_nan_inf_filter=False,  # a NaN must show, so that the run can end
        save_steps=plan.checkpoint_steps,
        report_to="none",
        disable_tqdm=True,
        log_level="error",
        remove_unused_columns=False,
        dataloader_pin_memory=uses_gpu,
    )


def _circumstances(plan: Plan, schedule: Schedule, trainer: AdapterTrainer) -> dict[str, Any]:
    return {
        "precision": str(engine_dtype(plan.base_model)).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "processor": processor_name(),
        "processes": trainer.args.world_size,
        "micro_batch_tokens": trainer.layout.tokens,
        "packing": trainer.layout.packing,
        "gradient_checkpointing": trainer.args.gradient_checkpointing,
        "total_steps": schedule.total_steps,
        "python": platform.python_version(),
    }
