"""What a request for an evaluation must satisfy, and what it becomes.

It refuses to examine, and to know how an arm is asked.
"""

from typing import Any

import msgspec

from registry.errors import Invalid, NotFound
from registry.evaluation_options import EvaluationOptions, check_measured, read_options
from registry.policy import Policy
from registry.records import AdapterVersion, Purpose
from registry.settings import Settings
from registry.store import Store
from service import promotion
from service.wire.evaluations import CreateEvaluation

_OPTIONS = (
    "arms",
    "choose_examples",
    "instruction",
    "models",
    "suites",
    "suite_files",
    "max_training_rows",
    "measure_loss",
    "judge",
    "use_cache",
    "decides",
)


async def options_of(
    store: Store,
    settings: Settings,
    data: CreateEvaluation,
    version: AdapterVersion,
    policy: Policy,
) -> dict[str, Any]:
    """Return what an evaluation asks beyond the held-out rows, whole and checked.

    Raises:
        Invalid: A field is at fault, names something that the project does not have, or leaves out
            what the policy decides by.
        Conflict: A model cannot serve.
    """
    chosen = {name: getattr(data, name) for name in _OPTIONS}
    requested = {name: value for name, value in chosen.items() if value is not None}
    options, base_name = read_options(msgspec.to_builtins(requested)), settings.base_name
    check_measured(options, policy)
    _check_judge(options, settings)
    await _check_models(store, options, version, base_name)
    for file_id in options.suite_files:
        await require_file(store, version.project, file_id, "suite_files", purpose=Purpose.EVALS)
    production = await _production(store, data.deployment, version, base_name)
    return msgspec.to_builtins(msgspec.structs.replace(options, production=production))  # type: ignore[no-any-return] # a dict


async def require_file(
    store: Store, project: str, file_id: str, param: str, *, purpose: Purpose | None = None
) -> None:
    """Check that a project has a file.

    Raises:
        Invalid: It has none of this id, or one that is for something else.
    """
    try:
        file = await store.files.get(file_id, project=project)
    except NotFound as exc:
        raise Invalid(str(exc), param, "file_not_found") from exc
    if purpose is not None and file.purpose != purpose:
        message = f"The file '{file_id}' is for {file.purpose}; upload it with purpose '{purpose}'."
        raise Invalid(message, param)


def _check_judge(options: EvaluationOptions, settings: Settings) -> None:
    if options.judge is None:
        return
    if settings.judge_url is None:
        message = "There is no judge: GRAFTLINE_JUDGE_URL is not set. Set it, or leave 'judge' out."
        raise Invalid(message, "judge")
    if options.judge.model is None and settings.judge_model is None:
        message = "Name the judge's model, or set GRAFTLINE_JUDGE_MODEL."
        raise Invalid(message, "judge.model")


async def _check_models(
    store: Store, options: EvaluationOptions, version: AdapterVersion, base_name: str
) -> None:
    for name in options.models:
        if name in {version.name, base_name}:
            message = f"'{name}' is examined anyway; take it out of 'models'."
            raise Invalid(message, "models")
        try:
            promotion.check_serving(await store.adapters.get(name, project=version.project))
        except NotFound as exc:
            raise Invalid(str(exc), "models", "model_not_found") from exc


async def _production(
    store: Store, deployment: str | None, version: AdapterVersion, base_name: str
) -> str | None:
    """Return the version now in production: that of the named deployment, or of the one on trial.

    Raises:
        Invalid: The deployment named does not exist, or has this very version in production.
    """
    examined = {version.name, base_name}
    if deployment is None:
        of_project = await store.deployments.of(version.project)
        trials = [each for each in of_project if version.name in {each.candidate, each.shadow}]
        return next((each.stable for each in trials if each.stable not in examined), None)
    try:
        stable = (await store.deployments.get(deployment, project=version.project)).stable
    except NotFound as exc:
        raise Invalid(str(exc), "deployment", "deployment_not_found") from exc
    if stable == version.name:
        message = f"'{deployment}' has '{stable}' in production already; leave 'deployment' out."
        raise Invalid(message, "deployment")
    return None if stable in examined else stable
