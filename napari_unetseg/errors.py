"""The one exception that is meant to be read by the person at the microscope."""


class UserError(ValueError):
    """What was received, what was expected and what to do, in one sentence.

    Raised at the boundary (files, settings, labels, devices) by any layer of the package. The
    command line prints the sentence on stderr and exits with status 2; the window shows it in its
    status line. Anything else that escapes is a defect of ours.
    """


class AlreadyThereError(UserError):
    """Something is where a result would be written, and nobody agreed to replace it.

    The sentence ends with the advice to choose another name; the command line adds its option.
    """
