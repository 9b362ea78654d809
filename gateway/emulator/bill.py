"""The bill: what the real service would have charged, and what it was asked; free questions apart.

A call is charged when its answer is ready, whether or not anybody reads it.
"""

from collections import Counter, deque
from dataclasses import asdict, dataclass

__all__ = ["Bill", "Charge"]

_MOST_LINES = 100_000


@dataclass(frozen=True, slots=True)
class Charge:
    """One line: `thousandths` of an image taken; `settings` is the SHA-256 of what was drawn."""

    id: int
    key: str
    account: str
    operation: str
    thousandths: int
    settings: str
    sandbox: bool
    time_s: float


class Bill:
    """The lines of the bill and counters of traffic; totals stay exact when old lines go."""

    def __init__(self) -> None:
        self.lines: deque[Charge] = deque(maxlen=_MOST_LINES)
        self.charges = 0
        self.thousandths = 0
        self.by_account: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.requests_by_key: Counter[str] = Counter()
        self.questions: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()

    def add(self, charge: Charge) -> None:
        """Write a line; sandbox calls stand there with nothing taken."""
        self.lines.append(charge)
        self.charges += 1
        self.thousandths += charge.thousandths
        self.by_account[charge.account] += charge.thousandths

    def count_question(self, method: str, path: str) -> None:
        """Count an account call, which is free: it stands in no other counter."""
        self.questions[f"{method} {path}"] += 1

    def count_request(self, method: str, path: str, key: str | None) -> None:
        """Count any other request whose head arrived, whatever becomes of it."""
        self.requests[f"{method} {path}"] += 1
        self.requests_by_key[key or "unknown"] += 1

    def count_answer(self, outcome: str) -> None:
        """Count the answer to a request by its status; `cut` stands for a cut connection."""
        self.answers[outcome] += 1

    def document(self) -> dict[str, object]:
        """The bill for JSON."""
        return {
            "charges": self.charges,
            "thousandths": self.thousandths,
            "by_account": dict(self.by_account),
            "requests": dict(self.requests),
            "requests_by_key": dict(self.requests_by_key),
            "questions": dict(self.questions),
            "answers": dict(self.answers),
            "lines": [asdict(line) for line in self.lines],
        }
