"""All rules in turn: pure functions of the numbers that are known of a training."""

from . import signs, trends
from .course import Course
from .findings import Finding


def diagnose(course: Course) -> list[Finding]:
    """All that the rules find now, causes before what follows from them."""
    if course.looks and not course.looks[-1].finite:
        return list(signs.not_finite(course))  # other numbers mean nothing any more
    causes = [finding for rule in signs.RULES for finding in rule(course)]
    results = [] if causes else [finding for rule in trends.RESULTS for finding in rule(course)]
    return causes + results + [finding for rule in trends.RULES for finding in rule(course)]
