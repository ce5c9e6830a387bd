from __future__ import annotations

from napari_unetseg.project import Session, is_first_run, remember_answer


def test_only_without_other_sessions_and_answer_it_is_the_first_run(tmp_path):
    session = Session(tmp_path / "sessions")
    assert is_first_run(session)
    other = Session(tmp_path / "sessions")
    assert not is_first_run(session)
    other.close()  # nothing was painted in either, so nothing is left of it
    again = Session(tmp_path / "sessions")
    session.close()
    assert is_first_run(again)
    remember_answer(again)
    assert not is_first_run(again)
    again.close()
    assert not is_first_run(Session(tmp_path / "sessions"))
