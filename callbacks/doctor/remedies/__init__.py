"""What helps against a finding, and whether it does."""

from .changes import again, check_changes, grouped
from .prescriptions import prescribe, prescribed
from .trial import Trial, score, try_changes

__all__ = ["Trial", "again", "check_changes", "grouped", "prescribe", "prescribed", "score", "try_changes"]
