"""The numbers of `/metrics`, as tests read them."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.harness import World

__all__ = ["counted"]


async def counted(w: World, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """The samples of a metric that are not zero, by the values of these labels."""
    async with w.http.get(f"{w.ops_url}/metrics") as response:
        text = await response.text()
    found: dict[tuple[str, ...], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.value:
                key = tuple(sample.labels[label] for label in labels)
                found[key] = found.get(key, 0) + sample.value
    return found
