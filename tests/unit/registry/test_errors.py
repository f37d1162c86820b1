"""Errors: they pickle, and their words say what to do."""

import pickle

import pytest

from registry import errors
from registry.errors import DataFault

SPENT = errors.Allowance(kind="requests", limit=1, remaining=0, reset_seconds=9)
EXAMPLES = [
    errors.NotFound("file", "file-1"),
    errors.IllegalTransition("job", "ftjob-1", "failed", "cancelled"),
    errors.InUse("file", "file-1", "ftjob-1"),
    errors.NotPromotable("ft:a", None),
    errors.NotPromotable("ft:a", "no_go"),
    errors.NotPromotable("ft:a", "go", "The policy changed."),
    errors.PolicyUnusable("policy.yaml", "It is not YAML."),
    errors.Invalid("bad", "model", "code"),
    errors.InvalidData((DataFault(3, "Odd.", "Mend it."),), more=True),
    errors.Unauthenticated("no key"),
    errors.MissingScope("admin"),
    errors.RateLimited(SPENT, (SPENT,)),
    errors.Unavailable("engine", "vLLM is down."),
    errors.StoreAway("artifact_store", "No bucket."),
    errors.TooLarge(10),
    errors.CorruptArtifact("a", "b"),
    errors.UntrustedArtifact("a", "b"),
    errors.StorageFull("a"),
    errors.EngineError(500, "words"),
    errors.TrainingFailed("diverged", "NaN"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_the_way_to_another_process(error: errors.GraftlineError) -> None:
    """Pickled and back, an error says the same."""
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


def test_the_tree_in_the_docstring_names_every_error() -> None:
    """The drawing is the hierarchy."""
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, errors.GraftlineError):
            assert name in (errors.__doc__ or "")
