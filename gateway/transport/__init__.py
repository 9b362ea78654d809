"""The doors: gRPC and REST over one codec."""

__all__: list[str] = []
