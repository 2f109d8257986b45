"""What is known of a training so far."""

from dataclasses import dataclass, field

from .observation import Observation

#: So many looks in a row must show a sign: what is seen once may be chance.
LOOKS = 3


@dataclass
class Course:
    """What is known of a training so far.

    Attributes:
        looks: `Observation`s in order.
        epochs: The logs of the epochs in order.
        rates: The learning rate at looks and at the ends of epochs.
        guess: The loss of the best constant answer, None where it is not known.
        hidden: Names of the layers whose answers a layer with weights takes up.
        settings: Arguments and training settings of the recipe by name; empty for another model.
        unscaled: Whether it computes in float16, and the loss is not scaled for that.
        owners: The layers that metrics belong to, by the name of the metric.
        game: Whether several optimizers play against each other: then a loss that does not fall says nothing.
        planned: The epochs that `fit` was asked for; None where that is not known.
        ended: How training ended, "complete" or "early"; None while it runs.
    """

    looks: list[Observation] = field(default_factory=list)
    epochs: list[dict] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    guess: float | None = None
    hidden: set = field(default_factory=set)
    settings: dict = field(default_factory=dict)
    unscaled: bool = False
    owners: dict = field(default_factory=dict)
    game: bool = False
    planned: int | None = None
    ended: str | None = None

    @property
    def now(self) -> dict:
        """When it is, for a `Finding`."""
        if self.looks and (not self.epochs or self.looks[-1].epoch > len(self.epochs)):
            return {"step": self.looks[-1].step, "epoch": self.looks[-1].epoch}
        return {"step": self.looks[-1].step if self.looks else None, "epoch": len(self.epochs) or None}

    @property
    def warming_up(self) -> bool:
        """Whether a schedule raises the learning rate: what is slow now need not stay so."""
        earlier = self.rates[-4:-1]
        return bool(earlier) and self.rates[-1] > 1.02 * min(earlier)

    def losses(self, name: str = "loss") -> list[float]:
        return [float(logs[name]) for logs in self.epochs if name in logs]

    def remedy(self, **changes) -> dict:
        """Those of the changes that the recipe has an argument for, and that are changes."""
        return {name: value for name, value in changes.items() if self.settings.get(name, value) != value}

    def slower(self, factor: float = 10) -> dict:
        """A smaller learning rate (or a larger one, with a factor below 1)."""
        rate = self.settings.get("learning_rate")
        return {"learning_rate": float(f"{rate / factor:.3g}")} if isinstance(rate, int | float) else {}


def lasting(course: Course, count: int = LOOKS) -> list[Observation]:
    """The last looks, if there are as many."""
    return course.looks[-count:] if len(course.looks) >= count else []


def learning(course: Course) -> bool:
    """Whether the loss on the probe batch has fallen well below the first one."""
    return bool(course.looks) and course.looks[-1].loss < 0.5 * course.looks[0].loss


def thriving(course: Course) -> bool:
    """Whether the model is far better than a guess; where that is not known, than at first."""
    if course.guess is None or not course.looks:
        return learning(course)
    return course.looks[-1].loss < 0.5 * course.guess
