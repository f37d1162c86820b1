"""The exam as it is set: which suites, which arms, which examples.

It refuses to know the answers. The same files set the same exam.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import msgspec
from anyio import to_thread

from evals.panel import Arm, Prompting, bare, panel, with_counts
from evals.sources import Source, nothing, read_source
from evals.suites import behaviour, choice, own, suite
from evals.suites.heldout import Exam, read_exam
from evals.suites.suite import Suite
from registry.blobs import Blobs
from registry.errors import Invalid, InvalidData, NotFound
from registry.evaluation_options import (
    BuiltInSuite,
    EvaluationOptions,
    PromptArm,
    check_measured,
    read_options,
)
from registry.formats.reading import read_rows
from registry.policy import Policy, resolve_policy
from registry.records import AdapterVersion, Evaluation, Record

T = TypeVar("T")
_ARMS_OF_OUR_SUITES = ("base", "adapter")


class Paper(Record, frozen=True, kw_only=True):
    """What is asked of whom."""

    policy: Policy
    """The rule of the verdict."""
    options: EvaluationOptions
    """What else is asked."""
    suites: list[Suite]
    """The held-out rows, then all other suites."""
    trial: Suite | None
    """The rows on which the number of examples is chosen, with an arm for each number."""
    source: Source
    """What the training file gives."""
    notes: list[str]
    """What a reader of the verdict should know besides."""

    @property
    def heldout(self) -> Suite:
        """The suite that decides."""
        return self.suites[0]

    def with_counts(self, counts: dict[str, int], notes: Sequence[str]) -> "Paper":
        """Return the exam with the numbers of examples that were chosen."""
        suites = [
            msgspec.structs.replace(each, arms=with_counts(each.arms, counts))
            for each in self.suites
        ]
        return msgspec.structs.replace(self, suites=suites, trial=None, notes=[*self.notes, *notes])


async def set_paper(
    evaluation: Evaluation, adapter: AdapterVersion, blobs: Blobs, suites_dir: Path | None = None
) -> Paper:
    """Set the exam of an evaluation.

    Without training rows, or where all of them are held out too, the arms and suites that need
    them are absent, and a note says why.

    Raises:
        Invalid: The policy, the options or a file cannot be used.
        NotFound: A file is gone.
    """
    policy, options = resolve_policy(evaluation.policy), read_options(evaluation.options)
    check_measured(options, policy)
    exam = await _read(
        blobs, evaluation.heldout_file, lambda path: _exam(path, policy.max_rows, policy.seed)
    )
    source = await _source(evaluation, exam, policy, options, blobs)
    absent = _absent(policy, options, exam, source)
    arms = panel(adapter, options, examples=policy.few_shot_examples, absent=absent.keys())
    users = await _users_suites(options, policy, bare(arms), blobs, suites_dir)
    return Paper(
        policy=policy,
        options=options,
        suites=[
            Suite(name=suite.HELDOUT, title="Held-out rows", entries=exam.rows, arms=arms),
            *_our_suites(options, source, arms),
            *users,
        ],
        trial=_trial(source, arms),
        source=source,
        notes=list(_notes(options, source, absent)),
    )


def _exam(path: Path, max_rows: int, seed: int) -> Exam:
    return read_exam(read_rows(path), max_rows=max_rows, seed=seed)


async def _source(
    evaluation: Evaluation, exam: Exam, policy: Policy, options: EvaluationOptions, blobs: Blobs
) -> Source:
    if evaluation.training_file is None:
        return nothing("the training rows are not known")
    try:
        return await _read(
            blobs,
            evaluation.training_file,
            lambda path: read_source(path, exam, policy, options),
        )
    except NotFound:
        return nothing("the training file is gone")
    except InvalidData as exc:
        return nothing(f"the training file has faulty rows, such as {exc.faults[0]}")


def _absent(
    policy: Policy, options: EvaluationOptions, exam: Exam, source: Source
) -> dict[PromptArm, str]:
    """Return the prompts with training rows that cannot be built, and why."""
    if not policy.few_shot_examples and not options.choose_examples:
        return dict.fromkeys(options.arms, "the policy asks for none")
    if source.absence is not None:
        return dict.fromkeys(options.arms, source.absence)
    kinds = {entry.row.messages is None for entry in source.nearest}
    has_rows = {
        PromptArm.FEW_SHOT: any(source.examples.fitting(entry.row) for entry in exam.rows),
        PromptArm.NEAREST: any((entry.row.messages is None) in kinds for entry in exam.rows),
    }
    why = "no training row may serve as an example"
    return {name: why for name in options.arms if not has_rows[name]}


def _our_suites(options: EvaluationOptions, source: Source, arms: Sequence[Arm]) -> Iterable[Suite]:
    """Yield our own suites; base and adapter alone are asked them."""
    pair = [arm for arm in arms if arm.name in _ARMS_OF_OUR_SUITES]
    if BuiltInSuite.TRAINING in options.suites and source.suite:
        yield Suite(name=suite.TRAINING, title="Training rows", entries=source.suite, arms=pair)
    if BuiltInSuite.BEHAVIOUR in options.suites:
        yield Suite(
            name=suite.BEHAVIOUR,
            title="Behaviour on unrelated tasks",
            entries=behaviour.read_behaviour(),
            arms=pair,
            is_marked_by_row=True,
            files={"behaviour": behaviour.behaviour_sha256()},
        )


async def _users_suites(
    options: EvaluationOptions,
    policy: Policy,
    arms: list[Arm],
    blobs: Blobs,
    suites_dir: Path | None,
) -> list[Suite]:
    """Return the suites of the user's own: the request's files, then those of the folder.

    Raises:
        NotFound: A file of the request is gone.
        Invalid: A file has faulty rows; it is named.
    """
    paths = {identifier: blobs.path(identifier) for identifier in options.suite_files}
    if suites_dir is not None:
        paths |= {path.stem: path for path in await to_thread.run_sync(own.suite_files, suites_dir)}
    return [await _users_suite(name, path, policy, arms) for name, path in paths.items()]


async def _users_suite(name: str, path: Path, policy: Policy, arms: list[Arm]) -> Suite:
    def work() -> Suite:
        entries = own.read_own(read_rows(path), max_rows=policy.max_rows, seed=policy.seed)
        return Suite(
            name=f"{own.PREFIX}{name}",
            title=f"Your suite {name}",
            entries=entries,
            arms=arms,
            is_marked_by_row=True,
            files={name: sha256(path.read_bytes()).hexdigest()},
        )

    try:
        return await to_thread.run_sync(work)
    except FileNotFoundError as exc:
        raise NotFound("file content", name) from exc
    except InvalidData as exc:
        raise Invalid(f"The suite '{name}' cannot be used. {exc}", "suite_files") from exc


def _trial(source: Source, arms: Sequence[Arm]) -> Suite | None:
    """Return what is asked to choose the number of examples, or none when nothing is to choose."""
    shown = [arm for arm in arms if arm.prompting in {Prompting.FIXED, Prompting.NEAREST}]
    if not source.trial or not shown:
        return None
    tried = [
        msgspec.structs.replace(arm, name=f"{arm.name}@{count}", examples=count)
        for arm in shown
        for count in choice.COUNTS
    ]
    return Suite(
        name=suite.CHOICE,
        title="Rows on which the number of examples is chosen",
        entries=source.trial,
        arms=tried,
    )


def _notes(
    options: EvaluationOptions, source: Source, absent: Mapping[PromptArm, str]
) -> Iterable[str]:
    if BuiltInSuite.TRAINING in options.suites and not source.suite:
        why = source.absence or "all of them are held out too"
        yield f"The training rows are not examined: {why}."
    if not options.measure_loss:
        yield "The losses are not measured, as the request has it."
    titles = {PromptArm.FEW_SHOT: "few-shot arm", PromptArm.NEAREST: "arm with similar examples"}
    for name, why in absent.items():
        yield f"There is no {titles[name]}: {why}."


async def _read(blobs: Blobs, file_id: str, read: Callable[[Path], T]) -> T:
    """Read a stored file in a thread of its own: it may be large."""
    try:
        return await to_thread.run_sync(read, blobs.path(file_id))
    except FileNotFoundError as exc:
        raise NotFound("file content", file_id) from exc
