"""The two expected ways for a job to end badly; anything else is a bug and keeps its traceback."""


class UserError(ValueError):
    """A mistake the user can mend; its message is one line: name, rule, value, fix.

    Jobs print the message without a traceback and exit with code 2.
    """


class RunFailed(RuntimeError):
    """The world failed a job that was told right (a full disk, a lost network); one line, with the way on.

    Jobs print the message without a traceback and exit with code 1.
    """
