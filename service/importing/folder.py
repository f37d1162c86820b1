"""Which files of a folder are the adapter, whatever tool filled the folder.

It refuses to open any of them.
"""

from pathlib import Path

from registry.errors import Invalid
from registry.records import Record
from service.importing.configuration import CONFIG
from service.importing.header import WEIGHTS

_PICKLES = ("adapter_model.bin", "adapter_model.pt")


class Chosen(Record, frozen=True, kw_only=True):
    """An adapter's files."""

    config: Path
    """`adapter_config.json`."""
    weights: Path
    """`adapter_model.safetensors`."""
    left_behind: list[str]
    """Names of everything else in the folder."""


def choose(folder: Path) -> Chosen:
    """Return the two files of an adapter's folder.

    Raises:
        Invalid: There are no such files; the message says where they may be, or how to make them.
    """
    if not folder.is_dir():
        raise Invalid(f"'{folder}' is not a folder.", "folder")
    names = sorted(path.name for path in folder.iterdir())
    if WEIGHTS in names and CONFIG in names:
        others = [name for name in names if name not in {WEIGHTS, CONFIG}]
        return Chosen(config=folder / CONFIG, weights=folder / WEIGHTS, left_behind=others)
    raise Invalid(_why(folder, names), "folder")


def _why(folder: Path, names: list[str]) -> str:
    if any(name in names for name in _PICKLES):
        return (
            f"'{folder}' holds a pickle, which is never opened here. On the machine that made it, "
            "load the adapter with peft and call save_pretrained(folder, safe_serialization=True); "
            f"then import that folder, which has {WEIGHTS}."
        )
    inner = sorted(
        (path.parent for path in folder.glob(f"*/{WEIGHTS}") if (path.parent / CONFIG).exists()),
        key=_step,
    )
    if inner:
        listed = ", ".join(f"'{path}'" for path in inner)
        return f"The adapters are in folders of '{folder}'. Import one of them: {listed}."
    missing = CONFIG if WEIGHTS in names else WEIGHTS
    if "model.safetensors" in names or "model.safetensors.index.json" in names:
        return f"'{folder}' holds a whole model, not an adapter: there is no {missing}."
    return f"'{folder}' has no {missing}. Name the folder that PEFT's save_pretrained wrote."


def _step(folder: Path) -> tuple[int, str]:
    number = folder.name.rpartition("-")[2]
    return (int(number) if number.isdecimal() else -1, folder.name)
