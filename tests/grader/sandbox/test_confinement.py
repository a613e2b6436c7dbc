"""What student code can reach, tier by tier, tried from inside the check process."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from grader.adapters import ASSIGNMENTS
from grader.core.outcomes import Reason
from grader.sandbox import Code, Limits, Sandbox, Tier
from grader.sandbox.traps import STAFF
from tests.conftest import PATIENCE
from tests.grader.conftest import code_beside, until
from tests.grader.sandbox.conftest import pieces, reason

ROOT = Path(__file__).resolve().parents[3]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="namespaces and Landlock are Linux's")
WEAKER = [pytest.param(tier, marks=pytest.mark.slow) for tier in (Tier.FENCED, Tier.PROCESS)]
STRONG = pytest.mark.parametrize("tier", [Tier.SEALED, WEAKER[0]])
ALL = pytest.mark.parametrize("tier", [Tier.SEALED, *WEAKER])
CODE = code_beside(__file__)
TRY = CODE["try"]


@pytest.fixture(scope="session")
def inside(sandboxes):
    """`inside(tier)`: a student whose functions run what they are given."""
    open_ones = {}

    def get(tier):
        if tier not in open_ones:
            session = sandboxes(tier).session(withheld=["kws.models.attention"])
            open_ones[tier] = (session, session.check(Code(pieces=pieces(TRY), audited=False)))
        return open_ones[tier][1]

    yield get
    for session, student in open_ones.values():
        student.close()
        session.close()


KEPT = ROOT / "kws" / "__init__.py"
OUTSIDE = [ROOT / "evil", "/evil", "/usr/evil", "/dev/shm/evil"]
MODELS = ROOT / "kws" / "models"
WITHHELD = [MODELS / "attention.py", *sorted(MODELS.glob("__pycache__/attention.*"))]
READ = [f"open({str(path)!r}, 'rb').read(1)" for path in WITHHELD]
ATTEMPTS = {**CODE["attempts"], "read withheld": {"ends": ["PermissionError"], "tries": READ}}


@STRONG
@pytest.mark.parametrize("what", ATTEMPTS)
def test_a_check_can_not(inside, tier, what):
    before = KEPT.read_bytes(), KEPT.stat().st_mode, KEPT.stat().st_mtime_ns
    for text in ATTEMPTS[what]["tries"]:
        text = text.replace("OWN", f"/proc/{os.getpid()}")
        text = text.replace("KEPT", str(KEPT)).replace("ROOT", str(ROOT))
        assert inside(tier).attempt(text) in ATTEMPTS[what]["ends"], text
    assert not any(Path(path).exists() for path in OUTSIDE)
    assert before == (KEPT.read_bytes(), KEPT.stat().st_mode, KEPT.stat().st_mtime_ns)


@STRONG
def test_no_secret_file_can_be_read_and_of_what_lies_outside_no_more_is_known_than_that_it_exists(
    inside, tier, tmp_path
):
    secret = tmp_path / "seed"
    secret.write_text("4711")
    assert inside(tier).attempt(f"open({str(secret)!r}).read()") in (
        "PermissionError",
        "FileNotFoundError",
    )
    student = inside(tier)
    assert any("whether a path that it guesses exists" in word for word in tier.weaknesses)
    for path in (ROOT / "solutions", ROOT / "grader"):
        assert student.attempt(f"os.listdir({str(path)!r})") == "PermissionError"
    assert student.attempt(f"os.stat({str(ROOT / 'nothing')!r})") == "FileNotFoundError"


@ALL
def test_the_evaluators_environment_and_descriptors_are_not_inherited(inside, tier):
    assert "PYTEST_CURRENT_TEST" in os.environ
    names = eval(inside(tier).attempt("sorted(os.environ)"))
    assert not [name for name in names if name.startswith(("PYTEST", "KWS", "GITHUB"))]
    found = inside(tier).attempt("[n for n in range(64) if not run(f'os.fstat({n})') == 'OSError']")
    assert found == "[0, 1, 2, 3]"
    null = Path(os.devnull).stat()
    for number in range(3):
        assert inside(tier).attempt(f"os.fstat({number}).st_rdev") == repr(null.st_rdev)


RATE = "from kws.audio.recordings import SAMPLE_RATE\ndef rate():\n    return SAMPLE_RATE"


@ALL
def test_a_withheld_module_is_refused_with_a_reason_and_others_are_there(sandboxes, tier):
    source = f"from kws.models.attention import attend\n{RATE}"
    with (
        sandboxes(tier).session(withheld=["kws.models.attention"]) as session,
        session.check(Code(pieces=pieces(source))) as student,
    ):
        assert reason(student.attend) is Reason.FORBIDDEN
        assert student.rate() == 16_000


@ALL
def test_only_modules_that_no_assignment_withholds_are_in_memory_and_the_staffs_cannot_be_imported(
    inside, tier
):
    found = set(eval(inside(tier).attempt("list(__import__('sys').modules)")))
    assert "kws.errors" in found
    assert all(found.isdisjoint(assignment.withheld) for assignment in ASSIGNMENTS.values())
    assert not {name.partition(".")[0] for name in found} & set(STAFF)
    for name in ("grader", "grader.adapters", "solutions", "tests"):
        assert inside(tier).run(f"import {name}") == "ForbiddenError"


@ALL
def test_its_own_folder_can_be_used_and_is_empty_for_the_next(sandboxes, tier):
    source = TRY + "\ndef keep(text):\n    torch.save(text, 'kept')\n    return os.listdir('.')\n"
    with sandboxes(tier).session() as session:
        for _ in range(2):
            with session.check(Code(pieces=pieces(source), audited=False)) as student:
                assert student.keep("this") == ["kept"]
                assert student.attempt("torch.load('kept')") == "'this'"
                assert student.attempt("tempfile.gettempdir() == os.getcwd()") == "True"


@pytest.mark.parametrize("tier", WEAKER)
def test_its_folder_is_removed_even_if_it_was_locked(sandboxes, tier):
    source = TRY + "\ndef lock():\n    os.makedirs('a/b', 0)\n    return os.getcwd()\n"
    with sandboxes(tier).session() as session:
        with session.check(Code(pieces=pieces(source))) as student:
            folder = Path(student.lock())
            assert folder.is_dir()
        until(lambda: not folder.exists())


def test_a_sealed_check_cannot_fill_the_disk_and_sees_a_process_tree_of_its_own(inside):
    fill = "[open(f'f{i}', 'wb').write(bytes(1 << 20)) for i in range(1000)]"
    assert inside(Tier.SEALED).run(fill) == "OSError"
    assert inside(Tier.SEALED).run("[os.remove(f) for f in os.listdir('.')]") == "done"
    assert int(inside(Tier.SEALED).attempt("os.getpid()")) < 50
    assert inside(Tier.SEALED).attempt("os.getppid()") == "1"


@ALL
def test_a_file_cannot_grow_without_end_and_threads_and_torch_work(inside, tier):
    fill = "f = open('big', 'wb')\nwhile True: f.write(bytes(1 << 20))"
    assert inside(tier).run(fill) == "OSError"
    inside(tier).run("f.close(); os.remove('big')")
    text = (
        "t = threading.Thread(target=lambda: torch.nn.Linear(64, 64)(torch.randn(64, 64))"
        ".sum().backward())\nt.start(); t.join()\ntorch.set_num_threads(2)\n"
        "torch.randn(500, 500) @ torch.randn(500, 500)\ntorch.set_num_threads(1)"
    )
    assert inside(tier).run(text) == "done"


def test_a_listening_evaluator_is_not_reached(inside):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        inside(Tier.SEALED).attempt(f"socket.create_connection(('127.0.0.1', {port}))")
        with pytest.raises(TimeoutError):
            server.accept()


@STRONG
def test_no_other_process_can_be_signalled(inside, tier):
    victim = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        for pid in (victim.pid, os.getpid(), 1, -1, 0):
            assert inside(tier).attempt(f"os.kill({pid}, 9)") == "PermissionError"
            assert inside(tier).attempt(f"os.kill({pid}, 0)") == "PermissionError"
        assert victim.poll() is None
    finally:
        victim.communicate(b"\n")


@LINUX
@STRONG
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are of x86_64")
def test_system_calls_are_refused_and_those_that_libraries_can_do_without_do_not_exist(
    inside, tier
):
    for name, (number, *arguments) in CODE["calls"].items():
        assert inside(tier).syscall(number, *arguments) == "Operation not permitted", name
    for number in (425, 435, 437, 452, 600, 0x40000000 + 57):
        assert inside(tier).syscall(number, 0, 0, 0) == "Function not implemented", number


@ALL
def test_it_holds_no_capability(inside, tier):
    if sys.platform != "linux":
        pytest.skip("capabilities are Linux's")
    libc = (
        "(h := (ctypes.c_uint32 * 2)(0x20080522, 0), d := (ctypes.c_uint32 * 6)(),"
        " ctypes.CDLL(None).capget(h, d), list(d))[-1]"
    )
    assert eval(inside(tier).attempt(libc)) == [0] * 6


@ALL
def test_nothing_is_left_running_after_a_check(sandboxes, tier):
    source = TRY + (
        "\ndef linger():\n"
        "    threading.Thread(target=time.sleep, args=(60,)).start()\n"
        '    started = run(\'subprocess.Popen(["/bin/sleep", "61.25"])\')\n'
        "    return os.getpid()\n"
    )
    with sandboxes(tier).session() as session:
        with session.check(Code(pieces=pieces(source))) as student:
            student.linger()
        until(lambda: "61.25" not in _commands())
        with session.check(Code(pieces=pieces("def f():\n    return 2"))) as student:
            assert student.f() == 2


def _commands() -> str:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout


def test_tiers_are_ordered_and_each_says_what_it_leaves_open(sandboxes):
    tiers = (Tier.SEALED, Tier.FENCED, Tier.PROCESS)
    assert Tier.SEALED.strength > Tier.FENCED.strength > Tier.PROCESS.strength
    assert [len(tier.weaknesses) for tier in tiers] == [1, 3, 3]
    assert sandboxes(Tier.SEALED).weaknesses == Tier.SEALED.weaknesses


@pytest.mark.slow  # a server of its own
def test_the_best_tier_is_taken_if_none_is_asked_for_and_a_dead_server_is_our_fault(best):
    with Sandbox(limits=Limits()) as sandbox:
        assert sandbox.tier is best.tier
        sandbox._process.kill()
        sandbox._process.wait()
        assert reason(sandbox.session) is Reason.INFRASTRUCTURE


def test_a_forked_evaluator_may_use_the_sandbox_and_leaves_it_running(best):
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            with best, best.session() as session:
                code = Code(pieces=pieces("def f():\n    return 'yes'"))
                with session.check(code) as student:
                    os.write(writer, student.f().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == b"yes"
    os.waitpid(pid, 0)
    best.session().close()


WITHOUT_NAMESPACES = """
import sys
sys.path.insert(0, sys.argv[1])
from grader.sandbox import Sandbox, Tier
from kws.errors import UsageError
with Sandbox() as sandbox:
    print(sandbox.tier.value, any("user namespaces: " in text for text in sandbox.weaknesses))
try:
    Sandbox(tier=Tier.SEALED)
except UsageError as error:
    print("user namespaces: " in str(error))
"""


@LINUX
@pytest.mark.slow
def test_where_user_namespaces_are_refused_the_next_tier_is_taken_and_says_so():
    """In a namespace of our own that may hold no more of them: nothing else is changed."""
    refuse = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", refuse, "sh"]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("no user namespace can be made here")
    arguments = [sys.executable, "-c", WITHOUT_NAMESPACES, str(ROOT)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout.split("\n") == ["fenced True", "True", ""], done.stderr
