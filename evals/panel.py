"""Who is examined: each arm, the model behind it, and how it is prompted.

It refuses to know rows and scores.
"""

from collections.abc import Collection, Sequence
from enum import StrEnum

import msgspec

from evals.compare import ArmName
from registry.evaluation_options import EvaluationOptions, PromptArm
from registry.records import AdapterVersion, Record


class Prompting(StrEnum):
    """What stands before a row's own prompt."""

    BARE = "bare"
    """Nothing."""
    FIXED = "fixed"
    """The same examples before every prompt."""
    NEAREST = "nearest"
    """The examples most similar to the prompt."""
    INSTRUCTION = "instruction"
    """The user's instruction."""


class Arm(Record, frozen=True, kw_only=True):
    """One of those examined."""

    name: str
    """A name of `ArmName`, or the name of a further model."""
    model: str
    """The model that answers."""
    prompting: Prompting = Prompting.BARE
    """What stands before the prompt."""
    examples: int = 0
    """Examples before the prompt, at most."""


def panel(
    adapter: AdapterVersion,
    options: EvaluationOptions,
    *,
    examples: int,
    absent: Collection[PromptArm],
) -> list[Arm]:
    """Return who is examined, in the order of asking.

    Args:
        adapter: The version under examination.
        options: Which arms are wanted.
        examples: Examples in a few-shot prompt.
        absent: Arms that are wanted and cannot be built.
    """
    base = adapter.base_model
    prompting = {PromptArm.FEW_SHOT: Prompting.FIXED, PromptArm.NEAREST: Prompting.NEAREST}
    arms = [Arm(name=ArmName.BASE, model=base)]
    arms += [
        Arm(name=ArmName(name), model=base, prompting=way, examples=examples)
        for name, way in prompting.items()
        if name in options.arms and name not in absent
    ]
    if options.instruction is not None:
        arms.append(Arm(name=ArmName.INSTRUCTION, model=base, prompting=Prompting.INSTRUCTION))
    arms.append(Arm(name=ArmName.ADAPTER, model=adapter.name))
    if options.production is not None:
        arms.append(Arm(name=ArmName.PRODUCTION, model=options.production))
    return arms + [Arm(name=name, model=name) for name in options.models]


def bare(arms: Sequence[Arm]) -> list[Arm]:
    """Return the arms that are asked with the bare prompt."""
    return [arm for arm in arms if arm.prompting == Prompting.BARE]


def with_counts(arms: Sequence[Arm], counts: dict[str, int]) -> list[Arm]:
    """Return the arms with the numbers of examples that were chosen for them."""
    return [
        msgspec.structs.replace(arm, examples=counts.get(arm.name, arm.examples)) for arm in arms
    ]
