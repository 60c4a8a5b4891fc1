"""What a session of a 32-layer model weighs: saved, loaded, made ready for display.

    python tests/benchmarks/session.py [--rounds 9]

The model is a Llama of 32 layers with random weights, compiled with the `aot_eager` backend. Rows are medians.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import compile_inspector as ci
from compile_inspector.views.display import mimebundle
from compile_inspector.views.wire import to_wire


def recorded() -> ci.Session:
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=128,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=32,
            num_attention_heads=4,
            num_key_value_heads=2,
            use_cache=False,
        )
    )
    with ci.record() as recorder, torch.no_grad():
        torch.compile(model, backend="aot_eager")(input_ids=torch.randint(128, (2, 8)))
    return recorder.session


def seconds(call: Callable[[], object], rounds: int) -> float:
    times: list[float] = []
    for _ in range(rounds):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    session = recorded()
    (graph,) = [one for one in session.graphs if one.stage == "dynamo"]
    print(f"{len(graph.nodes)} nodes, {len(session.guards)} guards, {len(session.dims)} dims")
    with tempfile.TemporaryDirectory() as folder:
        path = session.save(Path(folder) / "session.log.gz")
        print(f"saved: {path.stat().st_size / 1e6:.2f} MB (limit 1)")

        def load() -> None:
            loaded = ci.load(path)
            for name in loaded:
                loaded.read(name)

        print(f"loaded, every table built: {seconds(load, rounds):.2f} s (limit 0.5)")
    print(
        f"saving: {seconds(lambda: session.save(Path(tempfile.gettempdir()) / 'ci-benchmark.log.gz'), 3):.2f} s"
    )
    Path(tempfile.gettempdir(), "ci-benchmark.log.gz").unlink()

    with tempfile.TemporaryDirectory() as folder:
        kept = session.save(Path(folder) / "session.log")

        def display() -> None:
            fresh = ci.load(kept)
            mimebundle(fresh)
            to_wire(fresh, name="session")

        print(
            "made ready for display (text, static HTML, the widget's payload), from the records on: "
            f"{seconds(display, rounds):.2f} s (limit 0.5)"
        )


if __name__ == "__main__":
    main()
