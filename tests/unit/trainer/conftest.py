"""What the trainer's tests share: the smallest base model, in the precision of any processor."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.integration import nano_base
from trainer import language_model


@pytest.fixture(scope="session")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a random base model of 43,000 parameters.

    It trains in float32 on one thread: bfloat16 costs 9 ms a matrix here, however small it is.
    """
    folder = tmp_path_factory.mktemp("base") / "nano"
    nano_base.write(folder)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language_model, "has_fast_bfloat16", lambda: False)
        yield folder
    torch.set_num_threads(threads)
