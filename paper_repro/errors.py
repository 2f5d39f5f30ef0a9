"""The one exception meant for the user's eyes."""


class UserError(Exception):
    """Something the user can mend: one line naming the key or path at fault and the remedy.

    The command line prints the message without a traceback and exits with status 2.
    """
