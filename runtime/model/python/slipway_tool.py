"""The process in which a Python tool of Slipway runs: `python -I slipway_tool.py NAME`, with NAME.py beside this file.

One line of JSON comes on standard input, the request. Lines of JSON leave on standard output: any number of
{"progress": text}, then one {"result": ...} or {"error": {"code", "where", "message"}}. Standard input stays open for as
long as somebody waits for the answer: when it ends, this process ends with all of its children.

A tool is a file with `run(request) -> result`.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import os
import re
import signal
import sys
import threading
import traceback
from typing import Any, NoReturn

# Nothing is written into the package.
sys.dont_write_bytecode = True


class ToolError(Exception):
    """A reason to stop that the caller shows as it is: a code that Slipway knows, where, and one sentence."""

    def __init__(self, code: str, where: str, message: str) -> None:
        super().__init__(f"{code} {where}: {message}")
        self.code = code
        self.where = where
        self.message = message


def progress(text: str) -> None:
    """One line for whoever waits."""
    _send({"progress": text})


def one_line(error: BaseException) -> str:
    """What an exception says, without line breaks, and short enough to be read."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    if text.lstrip().startswith("in user code:"):
        # TensorFlow begins with the stack, and ends with the arguments.
        text = text[text.rfind('File "') :].partition("\n\n")[2].partition("Arguments received")[0]
    text = " ".join(text.split()) or type(error).__name__
    return text if len(text) <= 500 else text[:500] + " …"


# What libraries print goes to standard error; the answer has the stream that was standard output to itself.
_answers = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
os.dup2(2, 1)
_sending = threading.Lock()
_directory = os.getcwd()


def _send(message: dict[str, Any]) -> None:
    with _sending:
        _answers.write(json.dumps(message, allow_nan=False) + "\n")
        _answers.flush()


def _end_with_caller() -> None:
    while os.read(0, 65_536):
        pass
    # The caller would have deleted the folder that it made for this process; if it is not empty it is not ours to judge.
    with contextlib.suppress(OSError):
        os.rmdir(_directory)
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _read_request() -> Any:
    # By the descriptor: a buffered reader might take what belongs to the thread that waits for the end.
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = os.read(0, 65_536)
        if not piece:
            os._exit(1)
        line += piece
    return json.loads(line)


def _load(name: str) -> Any:
    folder = os.path.dirname(os.path.abspath(__file__))
    # Behind everything else, so that no file of ours takes the place of a package.
    sys.path.append(folder)
    sys.modules["slipway_tool"] = sys.modules["__main__"]
    spec = importlib.util.spec_from_file_location(f"slipway_{name}", os.path.join(folder, f"{name}.py"))
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no tool {name}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_OF_ANY_DISK = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EROFS", "EFBIG", "EIO")}


def _of_disk(error: BaseException | None) -> OSError | None:
    """What a disk said, whatever a tool took it for on the way."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _OF_ANY_DISK:
            return error
        error = error.__cause__ or error.__context__
    return None


def _main() -> NoReturn:
    request = _read_request()
    threading.Thread(target=_end_with_caller, daemon=True).start()
    status = 0
    try:
        _send({"result": _load(sys.argv[1]).run(request)})
    except BaseException as error:
        full = _of_disk(error)
        if full is not None:
            where = os.path.basename(request.get("output") or sys.argv[1])
            _send({"error": {"code": "OUTPUT_UNWRITABLE", "where": where, "message": f"cannot be written: {full.strerror}"}})
        elif isinstance(error, ToolError):
            _send({"error": {"code": error.code, "where": error.where, "message": error.message}})
        elif isinstance(error, MemoryError):
            _send({"error": {"code": "PYTHON_CRASHED", "where": sys.argv[1], "message": "there is not enough memory"}})
        else:
            traceback.print_exc()
            status = 1
    _answers.flush()
    sys.stderr.flush()
    # Without the frameworks' own ends, some of which wait for threads.
    os._exit(status)


if __name__ == "__main__":
    _main()
