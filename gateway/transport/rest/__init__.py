"""The drop-in REST door: an existing Photoroom client, unchanged."""

__all__: list[str] = []
