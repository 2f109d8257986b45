"""The error of a model file that is not opened."""


class RefusedFile(ValueError):
    """A model file that is not opened, since it is damaged or could do more than hold a model.

    Attributes:
        path: the file.
        reason: what it is refused for, in a word or two, such as "zip bomb"; the same for all files of a kind.
        detail: what was found, and where.
    """

    def __init__(self, reason, detail, path=None):
        super().__init__(reason, detail, path)
        self.reason, self.detail, self.path = reason, printable(detail), path

    def __str__(self):
        return f"{self.path or 'the file'} is refused ({self.reason}): {self.detail}"


def printable(text, most=1000):
    """Text from a file that is not trusted, short and without the control characters that terminals obey."""
    text = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:most])
    return text + "..." * (len(text) == most)
