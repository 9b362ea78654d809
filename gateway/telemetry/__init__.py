"""What is seen from outside: metrics and log lines, as wrappers of the ports."""

__all__: list[str] = []
