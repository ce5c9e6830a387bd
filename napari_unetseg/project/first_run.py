"""Whether somebody is new here: what the tour is offered by."""

from __future__ import annotations

from .session import Session

#: Beside the folder of all sessions: the tour was taken or declined.
_ANSWERED = "tour-answered"


def is_first_run(session: Session) -> bool:
    """Tell whether there is no session but this one, and the tour was never answered."""
    if (session.root.parent / _ANSWERED).exists():
        return False
    return all(folder == session.folder for folder in session.root.iterdir())


def remember_answer(session: Session) -> None:
    """Offer the tour no more; it stays under its button."""
    (session.root.parent / _ANSWERED).touch()
