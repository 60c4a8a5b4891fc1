"""Hands the benchmark's model to another tool; run by ``explorer.py`` with the Python that has that tool.

    python rivals.py torchvista LAYERS DEPTH FILE     writes the tool's page
    python rivals.py model-explorer LAYERS            serves the tool's page until the input ends

``--dynamic`` leaves the length of the input open. Prints one line of JSON: what it took before there was anything to show, and the
address; or the tool's own error. Everything else the tool says goes to the error output.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

import torch
from plain_llama import PlainLlama, sample


def told(**facts: Any) -> None:
    """Says one line to whoever started this."""
    print(json.dumps(facts), file=sys.__stdout__, flush=True)


def torchvista(model: torch.nn.Module, tokens: torch.Tensor, depth: int, file: Path) -> None:
    from torchvista import trace_model

    begin = time.perf_counter()
    trace_model(
        model, (tokens,), collapse_modules_after_depth=depth, export_format="html", export_path=str(file)
    )
    told(seconds=time.perf_counter() - begin, bytes=file.stat().st_size)


def model_explorer(model: torch.nn.Module, tokens: torch.Tensor, dynamic: bool) -> None:
    import model_explorer as explorer

    length = ({1: torch.export.Dim("length", min=2, max=64)},) if dynamic else None
    begin = time.perf_counter()
    program = torch.export.export(model, (tokens,), dynamic_shapes=length)
    exported = time.perf_counter() - begin
    settings = explorer.config()
    settings.add_model_from_pytorch("model", exported_program=program)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve = {"host": "127.0.0.1", "port": port, "config": settings, "no_open_in_browser": True}
    threading.Thread(target=explorer.visualize_from_config, kwargs=serve, daemon=True).start()
    told(
        seconds=time.perf_counter() - begin,
        export_seconds=exported,
        nodes=len(list(program.graph.nodes)),
        address=f"http://127.0.0.1:{port}/?data={settings.to_url_param_value()}",
    )
    sys.stdin.read()


def main() -> None:
    """Does what the command line asks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tool", choices=("torchvista", "model-explorer"))
    parser.add_argument("layers", type=int)
    parser.add_argument("depth", type=int, nargs="?", default=1)
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--dynamic", action="store_true")
    parser.add_argument(
        "--recursion", type=int, help="Python's limit of nested calls, where its own is too low"
    )
    asked = parser.parse_args()
    if asked.recursion is None:
        return run(asked)
    sys.setrecursionlimit(asked.recursion)
    threading.stack_size(1 << 30)
    deep = threading.Thread(target=run, args=(asked,))
    deep.start()
    return deep.join()


def run(asked: argparse.Namespace) -> None:
    """Makes the model and hands it to the tool; an error is told, not raised."""
    model, tokens = PlainLlama(asked.layers).eval(), sample()
    try:
        with contextlib.redirect_stdout(sys.stderr), torch.no_grad():
            if asked.tool == "torchvista":
                torchvista(model, tokens, asked.depth, asked.file)
            else:
                model_explorer(model, tokens, asked.dynamic)
    except Exception as error:
        traceback.print_exc()
        told(error=f"{type(error).__name__}: {error}"[:300])


if __name__ == "__main__":
    main()
