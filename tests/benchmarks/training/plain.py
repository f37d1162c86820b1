"""A plain script with trl's SFTTrainer: `python -m tests.benchmarks.training.plain <base> <rows>`.

It refuses to know Graftline's trainer; it writes a line of JSON after each step.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer

from tests.benchmarks.training.material import BATCH, EPOCHS, LEARNING_RATE, MAX_LENGTH, RANK
from trainer.language_model import engine_dtype, has_fast_half_precision


class Steps(TrainerCallback):  # type: ignore[misc]  # transformers ships no types
    """Tells when each step ended."""

    def on_step_end(self, _args: object, state: Any, _control: object, **_: object) -> None:
        """Write a step and its time."""
        seen = {"step": state.global_step, "at": time.monotonic()}
        seen["tokens"] = state.num_input_tokens_seen
        sys.stdout.write(json.dumps(seen) + "\n")
        sys.stdout.flush()


def main(base: str, rows: Path) -> None:
    """Train as the library's documentation shows it."""
    torch.manual_seed(3)
    found = [json.loads(line) for line in rows.read_text().splitlines()]
    config = SFTConfig(
        output_dir=str(rows.parent / "plain"),
        per_device_train_batch_size=BATCH,
        num_train_epochs=EPOCHS,
        learning_rate=LEARNING_RATE,
        max_length=MAX_LENGTH,
        bf16=has_fast_half_precision(),
        use_cpu=not torch.cuda.is_available(),
        gradient_checkpointing=False,
        include_num_input_tokens_seen="non_padding",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=3,
    )
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(base, dtype=engine_dtype(base)),
        args=config,
        train_dataset=Dataset.from_list(found),
        processing_class=AutoTokenizer.from_pretrained(base),
        peft_config=LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear"),
        callbacks=[Steps()],
    )
    trainer.train()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
