"""What the interaction log costs a row: run as `python -m tests.interaction_bench`.

It refuses to judge. The event loop's thread holds the interpreter while it works; the database's
thread gives it up inside the statement, so its processor time is shown apart.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from prometheus_client import CollectorRegistry

from registry.records import Arm, Interaction
from registry.settings import Settings
from registry.store import open_store
from service.features import request_features
from service.interaction_log import BATCH_ROWS, InteractionLog
from service.metrics import ServiceMetrics
from service.usage import UsageLedger
from tests import records

ROWS = 100_000


def interaction(number: int) -> Interaction:
    """Return an interaction with every field set."""
    return records.interaction(
        f"chatcmpl-{number:032d}",
        deployment="support",
        arm=Arm.STABLE,
        model="ft:tiny-base:default:support:12345678",
        unit_hash="a" * 16,
        first_token_seconds=0.01,
        key_id="key-" + "a" * 24,
        features={"body_bytes": 233.0, "messages": 2.0, "has_system": 1.0, "temperature": 0.7},
    )


def _features() -> float:
    messages = [{"role": "user", "content": "Where is my card? " * 20}]
    body = json.dumps({"messages": messages, "temperature": 0.7, "max_tokens": 9}).encode()
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    started = time.thread_time()
    for _ in range(ROWS):
        request_features(fields, body_bytes=len(body))
    return (time.thread_time() - started) / ROWS * 1e6


async def _main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = await open_store(Settings(data_dir=Path(folder)))
        metrics = ServiceMetrics(CollectorRegistry())
        log = InteractionLog(store, metrics, UsageLedger(metrics.usage_dropped))
        made = [interaction(number) for number in range(ROWS)]
        record_seconds = loop_seconds = all_seconds = 0.0
        for start in range(0, ROWS, BATCH_ROWS):
            before = time.thread_time()
            for one in made[start : start + BATCH_ROWS]:
                log.record(one)
            record_seconds += time.thread_time() - before
            before, began = time.thread_time(), time.process_time()
            await log.flush()
            loop_seconds += time.thread_time() - before
            all_seconds += time.process_time() - began
        await store.close()
    figures = {
        "record": record_seconds,
        "write, loop": loop_seconds,
        "write, all threads": all_seconds,
    }
    for name, seconds in figures.items():
        sys.stdout.write(f"{name}: {seconds / ROWS * 1e6:.2f} us a row\n")
    sys.stdout.write(f"features: {_features():.2f} us (n = {ROWS})\n")


if __name__ == "__main__":
    asyncio.run(_main())
