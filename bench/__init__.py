"""Side-by-side measurements: the gateway against bare servers, in one run.

`python -m bench` measures for some minutes, `--quick` for half a minute. How to read what it prints is
said in `docs/performance.md`.
"""

__all__: list[str] = []
