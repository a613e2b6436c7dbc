"""Landlock: restrict this process to reading, or writing, files below given paths.

The kernel refuses a right only if the ruleset handles it; the rights available depend on its
version. What Landlock never restricts (testing that a path exists, changing modes and times) is
left to `seccomp` or the mount namespace. A rule covers everything below a folder, without
exceptions: `read_only_rules` therefore lists the siblings of a path to exclude.
"""

import contextlib
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from grader.sandbox import linux

_CREATE, _ADD, _RESTRICT = 444, 445, 446
WRITE_FILE, READ_FILE, READ_DIR = 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_DIR, MAKE_REG, MAKE_SYM = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 12
REFER, TRUNCATE, CONTROL = 1 << 13, 1 << 14, 1 << 15  # CONTROL: ioctl of a device
READ = READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM
_HANDLED = {1: 13, 2: 14, 3: 15, 4: 15}  # version -> number of file rights; later ones have 16

Rule = tuple[str, int]


def version() -> int:
    return linux.call(_CREATE, None, 0, 1, what="Landlock")


def restrict(rules: Iterable[Rule]) -> None:
    """Restrict this process to the rules (path, rights); missing paths are skipped."""
    abi = version()
    handled = (1 << _HANDLED.get(abi, 16)) - 1
    everything = struct.pack("QQQ", handled, 3, 3)  # no TCP; no signals, no abstract sockets
    attributes = everything[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = linux.call(_CREATE, attributes, len(attributes), 0, what="landlock_create_ruleset")
    try:
        for path, rights in rules:
            _add(ruleset, path, rights & handled)
        linux.call(_RESTRICT, ruleset, 0, what="landlock_restrict_self")
    finally:
        os.close(ruleset)


def _add(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rule = struct.pack("=Qi", rights, handle)
        linux.call(_ADD, ruleset, 1, rule, 0, what=f"landlock_add_rule {path}")
    finally:
        os.close(handle)


def read_only_rules(paths: Iterable[str], without: Iterable[str]) -> list[Rule]:
    """Rules to read below `paths` but not below `without`, whose names stay visible."""
    rules: dict[str, int] = {}
    hidden = sorted({os.path.realpath(path) for path in without})
    for path in sorted({os.path.realpath(path) for path in paths}):
        if not any(rules.get(str(parent)) == READ for parent in Path(path).parents):
            _walk(path, hidden, rules)
    return sorted(rules.items())


def _walk(path: str, hidden: list[str], rules: dict[str, int]) -> None:
    if path in hidden:
        return
    if not any(other.startswith(path.rstrip("/") + "/") for other in hidden):
        rules[path] = READ if Path(path).is_dir() else READ_FILE
        return
    rules[path] = READ_DIR
    with contextlib.suppress(OSError):
        for inside in sorted(Path(path).iterdir()):
            if not inside.is_symlink():
                _walk(str(inside), hidden, rules)
