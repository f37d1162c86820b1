"""Where the vLLM servers are, by the settings."""

import pytest
from pydantic import ValidationError

from registry.settings import Settings


def test_a_list_of_addresses_names_each_server() -> None:
    """Blanks and slashes at the end do not matter."""
    chosen = Settings(engine_url="http://a:8000/, http://b:8000")
    assert chosen.engine_urls == ("http://a:8000", "http://b:8000")
    assert not chosen.runs_engines


def test_by_default_the_servers_are_local() -> None:
    """Ten ports apart, and we start them."""
    chosen = Settings(engine_port=9000, engine_replicas=2)
    assert chosen.engine_urls == ("http://127.0.0.1:9000", "http://127.0.0.1:9010")
    assert chosen.runs_engines


def test_a_name_leaves_the_addresses_open() -> None:
    """They are looked up while the service runs."""
    chosen = Settings(engine_dns="http://vllm:8000")
    assert chosen.engine_urls == ()
    assert chosen.engine_base_url == "http://vllm:8000"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"engine_url": "a:8000"}, "GRAFTLINE_ENGINE_URL: 'a:8000'"),
        ({"engine_url": "http://a:8000,"}, "GRAFTLINE_ENGINE_URL: ''"),
        ({"engine_url": "http://a:8000/v1"}, "without a path"),
        ({"engine_url": "http://a:1,http://a:1/"}, "names one server twice"),
        ({"engine_url": "http://a:1,https://a:1"}, "names one server twice"),
        ({"engine_url": "http://a:99999"}, "no address of a server"),
        ({"engine_url": "http://me:secret@a:1"}, "GRAFTLINE_ENGINE_KEY"),
        ({"engine_dns": "https://vllm:8000"}, "write http://HOST:PORT"),
        ({"engine_url": "http://a:1", "engine_dns": "http://b:1"}, "both set"),
        ({"engine_port": 65530, "engine_replicas": 2}, "fewer replicas"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused(values: dict[str, object], told: str) -> None:
    """The message names the variable and what to write."""
    with pytest.raises(ValidationError, match=told):
        Settings(**values)  # type: ignore[arg-type] # pydantic checks each value
