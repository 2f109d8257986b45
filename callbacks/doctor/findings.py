"""A finding: what is wrong with a training, where, and how it was seen."""

from dataclasses import asdict, dataclass, field

from .faults import CATEGORIES, FAULTS, SUSPICIONS, SYMPTOMS, Fault

__all__ = ["CATEGORIES", "FAULTS", "SEVERITIES", "SYMPTOMS", "Fault", "Finding", "by_severity"]

SEVERITIES = ("note", "warning", "error")
#: Above this confidence it is no suspicion.
_SURE = 0.7


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or looks so.

    Attributes:
        code: Its key in `FAULTS`.
        message: What was found, as one sentence with the numbers.
        severity: "error" (training cannot work), "warning" (it will suffer) or "note".
        layer: The name of the layer, or None.
        argument: The argument of the layer, the recipe, `compile` or `fit` that has to change, or None.
        step: The training step after which it was seen, from 1; None before training.
        epoch: The epoch, from 1; None before training.
        evidence: The numbers by name.
        confidence: From 0 to 1: how often such a sign means this fault.
        remedy: What to try, by name: arguments of the recipe, of a layer (`"dense.activation"`), of `compile` or
            `fit`; empty where nothing is known.
    """

    code: str
    message: str
    severity: str = "warning"
    layer: str | None = None
    argument: str | None = None
    step: int | None = None
    epoch: int | None = None
    evidence: dict = field(default_factory=dict)
    confidence: float = 0.5
    remedy: dict = field(default_factory=dict)

    def __post_init__(self):
        if self.code not in FAULTS:
            raise ValueError(f"code must be one of {', '.join(FAULTS)}, got {self.code!r}")
        if self.severity not in SEVERITIES:
            raise ValueError(f"severity must be one of {', '.join(SEVERITIES)}, got {self.severity!r}")

    @property
    def fault(self) -> Fault:
        return FAULTS[self.code]

    @property
    def category(self) -> str:
        return self.fault.category

    def __str__(self):
        return f"{self.fault.title}: {self.message} {self.fault.advice}"

    @property
    def is_suspicion(self) -> bool:
        """Whether it stays a note for as long as training shows no fault of its own."""
        return self.severity == "warning" and self.code in SUSPICIONS and self.confidence <= _SURE

    def as_dict(self) -> dict:
        """Plain values, with what the catalogue says."""
        return asdict(self) | asdict(self.fault)


def by_severity(findings) -> list[Finding]:
    """The gravest and surest first, notes last, and causes before what they may have led to."""

    def rank(finding):
        notable = finding.severity != "note"
        cause = finding.code not in SYMPTOMS
        return notable, cause, SEVERITIES.index(finding.severity), finding.confidence

    return sorted(findings, key=rank, reverse=True)
