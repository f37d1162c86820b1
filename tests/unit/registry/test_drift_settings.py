"""How many rows drift is computed from, by the settings."""

import pytest
from pydantic import ValidationError

from registry.settings import Settings


@pytest.mark.parametrize(
    "values",
    [
        {"drift_min_rows": 300, "drift_window_rows": 200},
        {"drift_min_rows": 300, "drift_reference_rows": 200},
    ],
)
def test_a_floor_that_no_sample_reaches_is_refused(values: dict[str, int]) -> None:
    """There would never be a figure, and nobody would know why."""
    with pytest.raises(ValidationError, match="there would never be a figure"):
        Settings(**values)  # type: ignore[arg-type] # numbers all


def test_a_floor_as_large_as_the_samples_is_taken() -> None:
    """Every figure then has as many rows as it may."""
    chosen = Settings(drift_min_rows=200, drift_window_rows=200, drift_reference_rows=200)
    assert chosen.drift_min_rows == 200
