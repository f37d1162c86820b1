"""The same rows through lm-eval's `local-completions`, one run for each model.

It refuses to know what is compared with it.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from registry.settings import Settings, child_environment, embedded_base

FOLDER = Path("build") / "lm-eval"
ANSWERS, TARGETS = "bench_answers", "bench_targets"
"""Tasks: answers, right where they are the target's words; the target's log-probability."""
_ROWS = """\
task: {task}
dataset_path: json
dataset_kwargs:
  data_files: {{"test": "{rows}"}}
test_split: test
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{completion}}}}"
target_delimiter: ""
"""
_HOW = {
    ANSWERS: """\
output_type: generate_until
generation_kwargs:
  until: ["<|never said|>"]
  max_gen_toks: {tokens}
  temperature: 0
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
""",
    TARGETS: """\
output_type: loglikelihood
metric_list:
  - metric: perplexity
    aggregation: perplexity
    higher_is_better: false
""",
}


async def evaluate(
    folder: Path,
    rows: Path,
    *,
    url: str,
    key: str,
    model: str,
    tokens: int,
    concurrency: int,
    tasks: Sequence[str] = (ANSWERS,),
) -> float:
    """Return the seconds of one run, from the start of the process to its end.

    Args:
        folder: For the task, the outputs and the caches.
        rows: JSONL file with `prompt` and `completion`.
        url: Address of the service.
        key: Its key.
        model: Who is asked.
        tokens: Most tokens of an answer.
        concurrency: Requests in flight.
        tasks: What is asked, one after another.
    """
    place = folder / "tasks"
    place.mkdir(exist_ok=True)
    for task, how in _HOW.items():
        text = _ROWS + how
        (place / f"{task}.yaml").write_text(text.format(task=task, rows=rows, tokens=tokens))
    arguments = {
        "model": model,
        "base_url": f"{url}/v1/completions",
        "tokenizer": embedded_base(),
        "tokenizer_backend": "huggingface",
        "tokenized_requests": False,
        "num_concurrent": concurrency,
        "max_length": 2048,
    }
    began = time.monotonic()
    log = folder / f"lm-eval-{model.replace(':', '-')}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "lm_eval", "--model", "local-completions", "--tasks", ",".join(tasks)),
            *("--model_args", ",".join(f"{name}={value}" for name, value in arguments.items())),
            *("--include_path", str(place), "--output_path", str(folder / "out")),
            env={
                **child_environment(Settings()),
                "PYTHONPATH": str(FOLDER.absolute()),
                "OPENAI_API_KEY": key,
                "HF_HUB_OFFLINE": "1",
                "HF_HOME": str(folder / "hf"),
            },
            stdout=output,
            stderr=output,
        )
        status = await process.wait()
    if status:
        raise RuntimeError(f"lm-eval ended with {status}:\n{log.read_text()[-3000:]}")
    return time.monotonic() - began
