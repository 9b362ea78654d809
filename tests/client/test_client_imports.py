"""What a service takes in with the client."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.policy.source import Module, gateway_modules

CLIENT = [module for module in gateway_modules() if module.within("gateway/client/")]
ALLOWED = (*sys.stdlib_module_names, "grpc", "google", "gateway.v1", "gateway.client")


@pytest.mark.parametrize("module", CLIENT, ids=lambda module: module.path)
def test_the_client_imports_grpc_protobuf_the_messages_and_itself(module: Module) -> None:
    wrong = [
        name
        for _, name in module.imports()
        if not any(name == allowed or name.startswith(f"{allowed}.") for allowed in ALLOWED)
    ]
    assert [] == wrong


def test_a_service_does_not_load_the_gateway_with_its_client() -> None:
    code = "import sys, gateway.client; print(*sorted(m.partition('.')[0] for m in sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()

    assert "grpc" in loaded
    assert set() == {"aiohttp", "redis", "pydantic", "prometheus_client", "uvloop"} & set(loaded)
