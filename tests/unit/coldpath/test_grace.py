"""What the processes of a pool tell the one that waits for them."""

import os

from coldpath.grace import AtWork


def in_a_child(work: AtWork, index: int, *, ends: bool) -> None:
    """A forked process that begins a job, and ends it or is killed."""
    pid = os.fork()
    if pid == 0:
        work.take_place(index)
        with work.working():
            if not ends:
                os._exit(1)
        os._exit(0)
    os.waitpid(pid, 0)


def test_nobody_works_before_the_first_job_and_behind_the_last() -> None:
    work = AtWork(2)
    assert work.nobody()
    in_a_child(work, 1, ends=True)
    assert work.wait_for_nobody(0)


def test_whoever_works_is_waited_for_until_time_is_over() -> None:
    work = AtWork(2)
    with work.working():
        in_a_child(work, 1, ends=True)
        assert not work.wait_for_nobody(0.01)
    assert work.wait_for_nobody(0)


def test_the_place_of_a_dead_process_is_taken_by_the_next() -> None:
    work = AtWork(2)
    in_a_child(work, 1, ends=False)
    assert not work.nobody()
    work.take_place(1)
    assert work.nobody()
