"""The two ways in which a command on guests ends badly. Both hold lines for people."""


class Refused(Exception):  # noqa: N818 - a command that does not begin is no failure of anything
    """What was asked for cannot be done; each of `lines` says why and how to put it right."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


class Failed(Exception):  # noqa: N818 - as above
    """A step failed; what was done is undone, or `lines` say what is left and what to type."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines
