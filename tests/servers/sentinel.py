"""A master, a replica, and three sentinels that agree by two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.store.leash import leashed
from tests.servers.process import HOST, Server, free_ports, standalone, wait_until

__all__ = ["SERVICE", "SentinelSet"]

SERVICE = "main"
SENTINELS = 3


class SentinelSet:
    """Two data servers under the eyes of three sentinels."""

    def __init__(self, program: Path, directory: Path) -> None:
        master, replica, *ports = free_ports(2 + SENTINELS)
        follow = ["--replicaof", f"{HOST} {master}"]
        quick = ["--repl-diskless-sync-delay", "0"]
        self._data = [
            standalone(program, directory / "data0", *quick, port=master),
            standalone(program, directory / "data1", *quick, *follow, port=replica),
        ]
        self._sentinels = [
            _sentinel(program, directory / f"sentinel{i}", port, master)
            for i, port in enumerate(ports)
        ]

    @property
    def url(self) -> str:
        """URL for the gateway."""
        return f"redis+sentinel://{','.join(s.address for s in self._sentinels)}/{SERVICE}"

    def start(self) -> None:
        """Start all of them and wait until a failover would succeed."""
        for server in self._data:
            server.start()
        self._wait_for_data()
        for sentinel in self._sentinels:
            sentinel.launch()
        for sentinel in self._sentinels:
            sentinel.wait()
        self.wait()

    def master(self) -> Server:
        """The server that the first sentinel takes for the master."""
        _, port = self._sentinels[0].admin("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(server for server in self._data if server.port == int(port))

    def wait(self) -> None:
        """Wait until every server plays its part and every sentinel knows all of them."""
        self._wait_for_data()
        wait_until(lambda: all(map(_knows_all, self._sentinels)), "sentinels that know each other")

    def heal(self) -> None:
        """Start again what was killed and let go on what was frozen.

        A master of the past is told its new part here: the sentinels would take ten seconds to do so.
        """
        for server in self._data:
            if server.is_running:
                server.thaw()
            else:
                server.start()
            if server is not self.master():
                server.admin("REPLICAOF", HOST, self.master().port)
        self.wait()

    def stop(self) -> None:
        """Kill everything."""
        for server in [*self._sentinels, *self._data]:
            server.kill()

    def _wait_for_data(self) -> None:
        wait_until(
            lambda: sorted(map(_part, self._data)) == ["connected", "master"],
            "a master and its replica",
        )


def _sentinel(program: Path, directory: Path, port: int, master: int) -> Server:
    directory.mkdir()
    config = directory / "sentinel.conf"  # a sentinel needs one: it keeps its own state there
    config.write_text(
        f"bind {HOST}\nport {port}\ndir {directory}\nlogfile {directory}/server.log\n"
        f"sentinel monitor {SERVICE} {HOST} {master} 2\n"
        f"sentinel down-after-milliseconds {SERVICE} 500\n"
        f"sentinel failover-timeout {SERVICE} 3000\n"
    )
    return Server(leashed([str(program), str(config), "--sentinel"]), port)


def _part(server: Server) -> str:
    """`master`, or how the replica's link to its master stands."""
    role, *details = server.admin("ROLE")
    return "master" if role == b"master" else str(details[2].decode())


def _knows_all(sentinel: Server) -> bool:
    state = _fields(sentinel.admin("SENTINEL", "MASTER", SERVICE))
    replicas = map(_fields, sentinel.admin("SENTINEL", "REPLICAS", SERVICE))
    return (
        state["flags"] == "master"
        and state["num-other-sentinels"] == str(SENTINELS - 1)
        and [replica["flags"] for replica in replicas] == ["slave"]
    )


def _fields(reply: list[Any]) -> dict[str, str]:
    return {k.decode(): v.decode() for k, v in zip(reply[::2], reply[1::2], strict=True)}
