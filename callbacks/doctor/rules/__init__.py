"""All rules in turn: pure functions of the numbers that are known of a training."""

import numpy as np

from ..course import LOOKS, Course
from ..findings import Finding
from . import collapse, signs, trends


def diagnose(course: Course) -> list[Finding]:
    """All that the rules find now, causes before what follows from them."""
    if course.looks and not course.looks[-1].finite:
        return list(signs.not_finite(course))  # other numbers mean nothing any more
    # An epoch that was lost to NaN is no part of a trend: the training has begun anew behind it.
    whole = np.isfinite([*course.losses()[-LOOKS:], *course.losses("val_loss")[-LOOKS:]]).all()
    causes = [finding for rule in (*signs.RULES, *collapse.CAUSES) for finding in rule(course)]
    results = [finding for rule in trends.RESULTS for finding in rule(course)] if whole and not causes else []
    rest = (*trends.RULES, *collapse.RULES) if whole else collapse.RULES
    return causes + results + [finding for rule in rest for finding in rule(course)]
