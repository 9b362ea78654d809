"""A Redis Cluster of three masters with a replica each."""

from __future__ import annotations

from pathlib import Path

from tests.servers.process import HOST, Server, free_ports, standalone, wait_until

__all__ = ["Cluster"]

MASTERS = 3
SLOTS = 16384


class Cluster:
    """Six nodes, made by hand: quicker than by redis-cli, and any of them may be killed."""

    def __init__(self, program: Path, directory: Path) -> None:
        ports = free_ports(4 * MASTERS)
        self._buses = ports[2 * MASTERS :]
        self._nodes = [
            standalone(program, directory / f"node{i}", *_settings(bus), port=port)
            for i, (port, bus) in enumerate(zip(ports, self._buses, strict=False))
        ]

    @property
    def url(self) -> str:
        """URL for the gateway; it names two nodes, as a careful operator does."""
        return f"redis+cluster://{self._nodes[0].address},{self._nodes[-1].address}"

    def start(self) -> None:
        """Start all nodes, give out the slots, and wait until every node says that all is well."""
        for node in self._nodes:
            node.launch()
        for node in self._nodes:
            node.wait()
        masters, replicas = self._nodes[:MASTERS], self._nodes[MASTERS:]
        for i, master in enumerate(masters):
            first, last = i * SLOTS // MASTERS, (i + 1) * SLOTS // MASTERS - 1
            master.admin("CLUSTER", "ADDSLOTSRANGE", first, last)
        for i, node in enumerate(self._nodes):
            node.admin("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for node, bus in list(zip(self._nodes, self._buses, strict=True))[1:]:
            self._nodes[0].admin("CLUSTER", "MEET", HOST, node.port, bus)
        wait_until(
            lambda: all(len(_table(n)) == len(self._nodes) for n in self._nodes), "a meeting"
        )
        for master, replica in zip(masters, replicas, strict=True):
            replica.admin("CLUSTER", "REPLICATE", master.admin("CLUSTER", "MYID").decode())
        self.wait()

    def wait(self) -> None:
        """Wait until all slots are served and every master has its replica, in step, in every view."""
        wait_until(lambda: all(map(self._is_well, self._nodes)), "a cluster that is well")

    def masters(self) -> list[Server]:
        """The nodes that serve slots now and run."""
        return [n for n in self._nodes if n.is_running and n.admin("ROLE")[0] == b"master"]

    def heal(self) -> None:
        """Start again what was killed, let go on what was frozen, and wait until all is well."""
        for node in self._nodes:
            if node.is_running:
                node.thaw()
            else:
                node.start()
        self.wait()

    def stop(self) -> None:
        """Kill everything."""
        for node in self._nodes:
            node.kill()

    def _is_well(self, node: Server) -> bool:
        if "cluster_state:ok" not in node.admin("CLUSTER", "INFO").decode():
            return False
        role = node.admin("ROLE")
        in_step = len(role[2]) == 1 if role[0] == b"master" else role[3] == b"connected"
        flags = [row.split()[2].removeprefix("myself,") for row in _table(node)]
        return in_step and sorted(flags) == MASTERS * ["master"] + MASTERS * ["slave"]


def _settings(bus: int) -> list[str]:
    """A failover within about two seconds, even with little data and an old replica."""
    return [
        *("--cluster-enabled", "yes"),
        *("--cluster-port", str(bus)),
        *("--cluster-node-timeout", "1000"),
        *("--cluster-replica-validity-factor", "0"),
        *("--repl-diskless-sync-delay", "0"),
    ]


def _table(node: Server) -> list[str]:
    """One line a node that `node` knows and has met."""
    lines = node.admin("CLUSTER", "NODES").decode().splitlines()
    return [line for line in lines if "handshake" not in line]
