"""`rediss://`: the server must prove who it is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.connect import connect
from gateway.store.link import RedisUnavailable
from tests.servers.fixtures import unavailable
from tests.servers.process import HOST, free_ports, standalone


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for the loopback address; its key is beside it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        unavailable("openssl is not installed")
    path = tmp_path_factory.mktemp("tls") / "cert.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", str(path.with_name("key.pem")), "-out", str(path)]
    names = ["-subj", "/CN=redis", "-addext", f"subjectAltName=IP:{HOST}"]
    command = [openssl, "req", "-x509", "-days", "2", *curve, *files, *names]
    subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def tls_port(
    redis_program: Path, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    plain, tls = free_ports(2)
    files = ["--tls-cert-file", str(certificate), "--tls-key-file"]
    files += [str(certificate.with_name("key.pem")), "--tls-auth-clients", "no"]
    directory = tmp_path_factory.mktemp("redis")
    server = standalone(redis_program, directory, "--tls-port", str(tls), *files, port=plain)
    try:
        server.start()
        yield tls
    finally:
        server.stop()


async def test_a_server_whose_certificate_we_trust_is_used(
    tls_port: int, certificate: Path
) -> None:
    link = connect(f"rediss://{HOST}:{tls_port}?ca_file={certificate}")
    assert [True] == await link.exchange(("SET", "k", "v"))
    await link.aclose()


async def test_a_server_that_nobody_vouches_for_is_not_used(tls_port: int) -> None:
    link = connect(f"rediss://{HOST}:{tls_port}")
    with pytest.raises(RedisUnavailable):
        await link.exchange(("SET", "k", "v"))
    await link.aclose()
