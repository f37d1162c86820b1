"""What is checked before anything is started."""

from pathlib import Path

import pytest

from registry.errors import Conflict, Invalid
from registry.settings import Settings
from service.stack.preflight import check, lock_folder
from tests.processes import free_ports


def free(settings: Settings, **chosen: object) -> Settings:
    """Return settings whose ports can be had."""
    names = ("port", "engine_port", "trainer_port", "evals_port")
    ports: dict[str, object] = dict(zip(names, free_ports(4), strict=True))
    return settings.model_copy(update=ports | chosen)


def test_the_embedded_base_passes(settings: Settings) -> None:
    """With free ports nothing is wrong."""
    check(free(settings))


@pytest.mark.parametrize("base", ["/nowhere/at/all", "./not-here", "~/nor-here"])
def test_a_base_that_is_not_there_is_named(settings: Settings, base: str) -> None:
    """Before vLLM takes half a minute to find out."""
    with pytest.raises(Invalid, match=r"config\.json is missing") as caught:
        check(free(settings, base_model=base))
    assert base in str(caught.value)
    assert "--base" in str(caught.value)


def test_a_name_on_the_hub_is_not_judged(settings: Settings) -> None:
    """Whether it exists is the hub's to say."""
    check(free(settings, base_model="Qwen/Qwen3-0.6B"))


def test_a_folder_has_one_stack(tmp_path: Path) -> None:
    """The second is told which folder, and what to do."""
    with lock_folder(tmp_path), pytest.raises(Conflict, match="--data-dir"):
        lock_folder(tmp_path)


def test_a_folder_is_free_again(tmp_path: Path) -> None:
    """After the first stack ended."""
    with lock_folder(tmp_path):
        pass
    with lock_folder(tmp_path):
        pass


def test_a_new_folder_is_the_operators(tmp_path: Path) -> None:
    """It will hold keys and training data."""
    with lock_folder(tmp_path / "new"):
        assert (tmp_path / "new").stat().st_mode & 0o077 == 0
