"""The gRPC door."""

__all__: list[str] = []
