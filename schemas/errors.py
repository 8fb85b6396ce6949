"""The two expected ways for a job to fail. Any other exception is a bug and keeps its traceback."""


class UserError(ValueError):
    """A mistake the user can fix; the message is one line with name, rule, value and fix.

    Jobs print the message without a traceback and exit with code 2.
    """


class RunFailed(RuntimeError):
    """A failure of the environment (full disk, lost network) in a job whose config is right; one line with the remedy.

    Jobs print the message without a traceback and exit with code 1.
    """
