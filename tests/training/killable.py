"""A process that has imported everything, and runs `kws` command lines in forks of itself.

Reads JSON lines {"argv": […], "die_in_step": n, "die_in_save": n, "by": signal}; for each it
answers the child's process id at once, and its exit status (negative: the signal) when it is over.
Unless n is 0, the child sends itself that signal in the middle of its n-th optimizer step, or
SIGKILL half way through its n-th checkpoint.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
import torch._dynamo  # the first optimizer of a process imports it, which takes a second

import kws.cli.train
import kws.data.speech_commands
import kws.training.loop


def die_in_step(step: int, number: int) -> None:
    """Patch the training: no return from the backward pass of that step of this process."""
    real = torch.nn.utils.clip_grad_norm_
    calls = 0

    def clip(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == step:
            os.kill(os.getpid(), number)
        return real(*arguments, **options)

    torch.nn.utils.clip_grad_norm_ = clip


def die_in_save(number: int) -> None:
    """Patch the writing: of the n-th checkpoint of this process, half gets to the disk."""
    real = Path.write_bytes
    calls = 0

    def write_bytes(path: Path, data) -> int:
        nonlocal calls
        if ".pt." not in path.name:
            return real(path, data)
        calls += 1
        if calls == number:
            real(path, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return real(path, data)

    Path.write_bytes = write_bytes


def child(job: dict) -> int:
    """Run one command line; its output goes to stderr."""
    os.dup2(2, 1)
    kws.cli.train.conclude = lambda *_: None  # no plot: it is drawn from the history
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # ignored where tests run behind a shell
    if job["die_in_step"]:
        die_in_step(job["die_in_step"], job["by"])
    if job["die_in_save"]:
        die_in_save(job["die_in_save"])
    return kws.cli.run(job["argv"])


def main() -> None:
    torch.set_num_threads(1)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                code = child(json.loads(line))
            finally:
                os._exit(code)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
