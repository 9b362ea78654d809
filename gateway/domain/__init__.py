"""Values and arithmetic. Standard library only: no I/O, no clock, no asyncio."""

__all__: list[str] = []
