"""What happens when a process dies, hangs, is noisy or is left behind."""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from napari_unetseg.config import find_model
from napari_unetseg.events import Finished, FinishReason, Preparing, Progress, TrainingStep
from napari_unetseg.images import Stack, write_image
from napari_unetseg.jobs import (
    BaselineCommand,
    ImageToSegment,
    JobState,
    PredictFilesCommand,
    Worker,
)

posix = pytest.mark.skipif(os.name != "posix", reason="sends signals")


def ends(pid, within_s=6.0):
    try:
        process = psutil.Process(pid)
        process.wait(timeout=within_s)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def baseline(scene):
    target = ImageToSegment(scene.image, str(scene.folder / "otsu.npy"))
    return BaselineCommand([target], {"steps": [{"step": "otsu"}]})


def child_with(code=""):
    """A child without its network library, in which `code` runs before its `main`."""
    light = "from napari_unetseg.jobs.child import library\nlibrary._MODULE = 'json'"
    start = "from napari_unetseg.jobs.child.__main__ import main\nmain()"
    return [sys.executable, "-c", f"{light}\n{textwrap.dedent(code)}\n{start}"]


def fake_child(code):
    return [sys.executable, "-c", textwrap.dedent(code)]


@posix
def test_a_killed_child_is_told_in_plain_words_and_the_next_job_works(new_worker, scene, jobs):
    worker = new_worker()
    worker.submit(scene.training(steps=10**6))
    jobs.events_until(worker, lambda event: isinstance(event, TrainingStep))
    killed = worker.pid
    os.kill(killed, signal.SIGKILL)
    finished = jobs.events_until(worker, lambda _: False)[-1]
    assert finished.reason is FinishReason.FAILED
    assert "signal 9" in finished.sentence
    assert "out of memory" in finished.sentence
    assert "annotations are safe" in finished.sentence
    assert worker.state is JobState.IDLE
    _, again = jobs.run(worker, baseline(scene))
    assert again.reason is FinishReason.COMPLETED
    assert worker.pid != killed


# Says in a file of its own that it is about to finish a file, and takes long about it.
SLOW_TO_WRITE = """
import sys, time
from pathlib import Path
from napari_unetseg.images import atomic
def sync(path):
    Path(sys.argv[1]).touch()
    time.sleep(60)
atomic._sync = sync
from napari_unetseg.jobs.child.__main__ import main
main()
"""


@posix
def test_a_child_that_is_ended_while_it_writes_leaves_no_half_of_a_file(new_worker, scene, jobs):
    pixels = np.load(scene.folder / "image.npy")
    write_image(scene.folder / "in.tif", Stack(pixels[:1], "ZYX", {}, "in"))
    writing = scene.folder / "writing"
    worker = new_worker([sys.executable, "-c", SLOW_TO_WRITE, str(writing)])
    out = scene.folder / "out"
    model = str(find_model("nuclei"))
    worker.submit(PredictFilesCommand([str(scene.folder / "in.tif")], model, str(out), "cpu"))
    while not writing.exists():
        worker.poll()
        assert worker.state is not JobState.IDLE
        time.sleep(0.01)
    assert {path.suffix for path in out.iterdir()} == {".unfinished"}
    assert any(out.rglob(".*.partial"))
    os.kill(worker.pid, signal.SIGTERM)
    finished = jobs.events_until(worker, lambda _: False)[-1]
    assert finished.reason is FinishReason.FAILED
    assert "signal 15: ended by another program" in finished.sentence
    assert list(out.iterdir()) == []


@posix
def test_a_child_killed_while_idle_is_replaced_without_a_word(new_worker, scene, jobs):
    worker = new_worker(child_with())
    worker.start()
    killed = worker.pid
    os.kill(killed, signal.SIGKILL)
    while worker.pid is not None:
        time.sleep(0.01)
    _, finished = jobs.run(worker, baseline(scene))
    assert finished.reason is FinishReason.COMPLETED
    assert worker.pid != killed


@posix
def test_cancelling_a_child_that_hangs_kills_it(new_worker, scene, jobs):
    worker = new_worker(child_with(), grace_s=0.5)
    worker.submit(baseline(scene))
    hung = worker.pid
    os.kill(hung, signal.SIGSTOP)
    began = time.monotonic()
    worker.cancel()
    finished = jobs.events_until(worker, lambda _: False)[-1]
    assert finished.reason is FinishReason.CANCELLED
    assert 0.4 < time.monotonic() - began < 3
    assert ends(hung)
    _, again = jobs.run(worker, baseline(scene))
    assert again.reason is FinishReason.COMPLETED


@posix
def test_a_child_that_does_not_read_never_holds_up_the_window(new_worker, scene):
    worker = new_worker(child_with(), grace_s=0)
    worker.submit(baseline(scene))
    os.kill(worker.pid, signal.SIGSTOP)
    began = time.monotonic()
    for plane in range(20_000):  # many times what a pipe holds
        worker.look_at("scene", plane)
        worker.poll()
    assert time.monotonic() - began < 5
    worker.cancel()


RETIRING = """
    from napari_unetseg.jobs.child import __main__, inbox
    __main__.RETIRE_AFTER_S = 0.2
    library.NetworkLibrary.holds_accelerator = lambda _: True
"""


def test_a_child_that_used_a_graphics_card_retires_and_is_replaced(new_worker, scene, jobs):
    worker = new_worker(child_with(RETIRING))
    _, finished = jobs.run(worker, baseline(scene))
    assert finished.reason is FinishReason.COMPLETED
    retired, deadline = worker.pid, time.monotonic() + 60
    while worker.pid in (retired, None):
        assert worker.poll() == []
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert ends(retired)
    worker.close()


def test_a_job_that_a_retiring_child_missed_is_given_to_the_next(new_worker, scene, jobs, tmp_path):
    mark = tmp_path / "first"
    worker = new_worker(
        child_with(
            f"""
            import os, time
            from pathlib import Path
            mark = Path({str(mark)!r})
            if not mark.exists():
                mark.touch()
                time.sleep(0.2)
                os._exit(0)
            """
        )
    )
    _, finished = jobs.run(worker, baseline(scene))
    assert finished.reason is FinishReason.COMPLETED
    assert mark.exists()


def test_a_program_that_ends_at_once_is_not_started_for_ever(new_worker, scene, jobs, tmp_path):
    log = tmp_path / "log"
    worker = new_worker(fake_child(f"open({str(log)!r}, 'a').write('started\\n')"))
    _, finished = jobs.run(worker, baseline(scene))
    assert finished.reason is FinishReason.FAILED
    assert "exit code 0" in finished.sentence
    worker.start()
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        worker.poll()
        time.sleep(0.01)
    assert log.read_text().count("started") == 3


def test_a_program_that_is_no_child_of_ours_is_told_with_what_it_said(new_worker, scene, jobs):
    code = "print('Hello!'); print('{}'); input(); raise SystemExit(5)"
    _, finished = jobs.run(new_worker(fake_child(code)), baseline(scene))
    assert finished.reason is FinishReason.FAILED
    assert "exit code 5" in finished.sentence
    assert "Hello!" in finished.details


def test_a_broken_program_is_told_with_what_it_said(new_worker, scene, jobs):
    worker = new_worker(fake_child("import sys; sys.exit('no such library here')"))
    _, finished = jobs.run(worker, scene.training())
    assert finished.reason is FinishReason.FAILED
    assert "exit code 1" in finished.sentence
    assert "no such library here" in finished.details
    assert "no such library here" in worker.stderr_tail()


def test_a_program_that_is_not_there_is_told(new_worker, scene, jobs):
    worker = new_worker(["/no/such/program"])
    worker.start()
    _, finished = jobs.run(worker, scene.training())
    assert finished.reason is FinishReason.FAILED
    assert "cannot be started" in finished.sentence


def test_noise_on_stdout_does_not_reach_the_events(new_worker, scene, jobs):
    worker = new_worker(
        child_with(
            """
            import os, subprocess, sys
            from napari_unetseg.jobs.child import baseline
            run = baseline.run_baseline
            def noisy(*arguments):
                print("printed")
                os.write(1, b"written below Python\\n")
                subprocess.run([sys.executable, "-c", "print('by a grandchild')"])
                assert os.read(0, 1) == b""  # nor can it take commands away
                return run(*arguments)
            baseline.run_baseline = noisy
            """
        )
    )
    _, finished = jobs.run(worker, baseline(scene))
    assert finished.reason is FinishReason.COMPLETED, finished
    for noise in ("printed", "written below Python", "by a grandchild"):
        assert noise in worker.stderr_tail()


def test_a_defect_is_a_sentence_with_details_and_memory_says_what_to_do(new_worker, scene, jobs):
    worker = new_worker(
        child_with(
            """
            from napari_unetseg.jobs.child import baseline
            errors = [MemoryError(), RuntimeError("CUDA out of memory"), ZeroDivisionError("oh")]
            def fail(*arguments):
                raise errors.pop(0)
            baseline.run_baseline = fail
            """
        )
    )
    for hint in ("not enough memory", "not enough memory", "ZeroDivisionError: oh"):
        _, finished = jobs.run(worker, baseline(scene))
        assert finished.reason is FinishReason.FAILED
        assert hint in finished.sentence
        assert "Traceback" in finished.details


def test_lines_that_are_no_command_do_not_end_the_child(new_worker, scene, jobs):
    worker = new_worker(child_with())
    worker.start()
    worker._child.send(b"not a command\n\xff\xfe\n[]\n{}\n")
    _, finished = jobs.run(worker, baseline(scene))
    assert finished.reason is FinishReason.COMPLETED


def test_events_of_an_earlier_job_never_reach_the_next(new_worker, scene, jobs):
    worker = new_worker(
        fake_child(
            """
            import json, sys
            def say(job, event, **fields):
                print(json.dumps({"job": job, "event": event, **fields}), flush=True)
            for line in sys.stdin:
                job = json.loads(line)["job"]
                if job == 0:
                    break
                say(job, "Progress", stage=f"job {job}", done=0, total=1)
                say(job, "Finished", reason="completed", sentence=f"job {job}")
                say(job, "Progress", stage=f"late, of job {job}", done=1, total=1)
            """
        )
    )
    for number in (1, 2, 3):
        events, finished = jobs.run(worker, baseline(scene))
        assert finished.sentence == f"job {number}"
        assert [e.stage for e in events if isinstance(e, Progress)] == [f"job {number}"]
        time.sleep(0.05)
    assert worker.poll() == []


def test_a_late_stop_or_cancel_does_not_touch_the_next_job(new_worker, scene, jobs):
    worker = new_worker(child_with())
    jobs.run(worker, baseline(scene))
    worker.stop()
    worker.cancel()
    assert worker.state is JobState.IDLE
    _, finished = jobs.run(worker, baseline(scene))
    assert finished.reason is FinishReason.COMPLETED


def test_what_takes_long_before_a_job_begins_is_told(new_worker, scene, jobs):
    slow = "import time\nlibrary.NetworkLibrary._load = lambda self: time.sleep(1)"
    events, finished = jobs.run(new_worker(child_with(slow)), baseline(scene))
    assert finished.reason is FinishReason.COMPLETED
    assert isinstance(events[0], Preparing)
    assert "Loading libraries" in events[0].sentence


def test_cancelling_while_the_library_loads_is_quick_and_keeps_the_child(new_worker, scene, jobs):
    worker = new_worker()
    worker.submit(scene.training())
    jobs.events_until(worker, lambda event: isinstance(event, Preparing))
    pid, began = worker.pid, time.monotonic()
    worker.cancel()
    finished = jobs.events_until(worker, lambda _: False)[-1]
    assert finished.reason is FinishReason.CANCELLED
    assert time.monotonic() - began < 2.5
    assert worker.pid == pid


def test_closing_in_the_middle_leaves_no_process_and_does_not_wait(new_worker, scene, jobs):
    worker = new_worker()
    worker.submit(scene.training(steps=10**6))
    jobs.events_until(worker, lambda event: isinstance(event, TrainingStep))
    pid, began = worker.pid, time.monotonic()
    worker.close()
    assert time.monotonic() - began < 1.6
    assert ends(pid)
    assert worker.pid is None
    assert worker.poll() == []
    worker.close()


def test_a_worker_that_is_forgotten_takes_its_child_along():
    worker = Worker()
    worker.start()
    pid = worker.pid
    del worker
    gc.collect()
    assert ends(pid)


PARENT = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from conftest import Scene
from napari_unetseg.events import {event}
from napari_unetseg.jobs import Worker
worker = Worker()
worker.submit(Scene(Path(sys.argv[2])).training(steps=10**6))
while not any(isinstance(event, {event}) for event in worker.poll()):
    time.sleep(0.01)
{after}
print(worker.pid, flush=True)
{finally_}
"""


def parent(folder, *, event="Preparing", after="", finally_="time.sleep(100)"):
    """Start a process that trains in a child; return it and, after an event, the child's id."""
    code = PARENT.format(event=event, after=after, finally_=finally_)
    arguments = [sys.executable, "-c", code, str(Path(__file__).parent), str(folder)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


@posix
@pytest.mark.parametrize("forked", [False, True])
def test_killing_the_window_ends_training(tmp_path, forked):
    # A process that the window forked holds the pipe open after the window's death.
    after = "import os\nif not os.fork():\n    time.sleep(8)\n    os._exit(0)" if forked else ""
    event = "Preparing" if forked else "TrainingStep"
    process, child = parent(tmp_path, event=event, after=after)
    try:
        process.kill()
        assert ends(child)
    finally:
        process.stdout.close()
        process.wait()
        if psutil.pid_exists(child):
            os.kill(child, signal.SIGKILL)


def test_an_interpreter_that_ends_takes_the_child_along(tmp_path):
    process, child = parent(tmp_path, finally_="")
    process.stdout.close()
    assert process.wait(timeout=10) == 0
    assert ends(child)


@posix
def test_ctrl_c_in_the_terminal_is_the_windows_and_not_the_childs(new_worker, scene, jobs):
    worker = new_worker(child_with())
    jobs.run(worker, baseline(scene))
    pid = worker.pid
    os.kill(pid, signal.SIGINT)
    _, finished = jobs.run(worker, baseline(scene))
    assert isinstance(finished, Finished)
    assert finished.reason is FinishReason.COMPLETED
    assert worker.pid == pid
