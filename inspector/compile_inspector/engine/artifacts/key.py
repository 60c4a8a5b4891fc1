"""The lookup key: everything about a call that is known before anything is traced, in components that are hashed apart.

No file, line, address, process id or folder goes into it: the same program on the same kind of machine has the same key in every process.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import torch

from compile_inspector.engine.artifacts import fingerprints
from compile_inspector.engine.artifacts.header import Component, component
from compile_inspector.engine.config import max_num_batched_tokens
from compile_inspector.torch_seams import backends, platform

FORMAT = 2
"""Of artifacts; another one is another component of every key."""
_HASHED = (
    "mode",
    "backend",
    "splitting_ops",
    "use_inductor_graph_partition",
    "cudagraph_mode",
    "cudagraph_copy_inputs",
    "compile_sizes",
    "compile_ranges_endpoints",
    "inductor_compile_config",
    "dynamic_shapes_config",
    "dropped_guards",
)
_DEEPEST = 8


def components(program: Any, instance: Any, arguments: Mapping[str, Any]) -> tuple[Component, ...]:
    """The components of a call.

    Args:
        program: The instance's.
        instance: The module.
        arguments: By the names of the forward's parameters.
    """
    original = program.wrapper.original
    modules = _modules(instance)
    tensors = [*(one for _, one in _held(instance)), *_tensors(arguments)]
    made = {
        "class": [fingerprints.class_name(program.cls)],
        "forward": [],
        "modules": [f"{path or 'self'}: {fingerprints.class_name(type(one))}" for path, one in modules],
        "training": _training(modules),
        "parameters": [f"{name}: {_parameter(one)}" for name, one in _held(instance)],
        "arguments": [line for name, value in arguments.items() for line in _argument(name, value, 0)],
        "state": list(platform.state()),
        "config": list(_config(program.vllm_config)),
        "options": list(_options(program)),
        "settings": list(platform.settings()),
        "torch": list(platform.versions()),
        "devices": list(platform.devices({one.device for one in tensors})),
        "inspector": [f"artifact format {FORMAT}"],
        "rank": [rank()],
    }
    whole = {"forward": _forward(original)}
    return tuple(whole.get(name) or component(name, lines) for name, lines in made.items())


def rank() -> str:
    """Which of a distributed program's processes this is; "0 of 1" where it is not distributed."""
    distributed: Any = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return f"{distributed.get_rank()} of {distributed.get_world_size()}"
    return f"{os.environ.get('RANK', '0')} of {os.environ.get('WORLD_SIZE', '1')}"


def _modules(instance: Any) -> list[tuple[str, Any]]:
    if isinstance(instance, torch.nn.Module):
        return list(instance.named_modules(remove_duplicate=False))
    return [("", instance)]


def _held(instance: Any) -> list[tuple[str, torch.Tensor]]:
    if not isinstance(instance, torch.nn.Module):
        return []
    named = [*instance.named_parameters(remove_duplicate=False)]
    return [*named, *instance.named_buffers(remove_duplicate=False)]


def _training(modules: list[tuple[str, Any]]) -> list[str]:
    """One word where all modules are alike, else a line each."""
    flags = {path: getattr(one, "training", None) for path, one in modules}
    if len(set(flags.values())) == 1:
        return [_flag(next(iter(flags.values())))]
    return [f"{path or 'self'}: {_flag(flag)}" for path, flag in flags.items()]


def _flag(training: object) -> str:
    return "none" if training is None else "train" if training else "eval"


def _parameter(tensor: torch.Tensor) -> str:
    kind = "parameter" if isinstance(tensor, torch.nn.Parameter) else "buffer"
    shape = "x".join(map(str, tensor.shape)) or "scalar"
    strides = tuple(tensor.stride()) if tensor.layout is torch.strided else ()
    return f"{kind} {fingerprints.value_text(tensor)} {shape} {strides}"


def _argument(name: str, value: Any, depth: int) -> Iterator[str]:
    kind = type(value)
    if isinstance(value, torch.Tensor):
        yield f"{name}: {fingerprints.value_text(value)}"
        return
    yield f"{name}: {fingerprints.class_name(kind)}"
    if depth < _DEEPEST:
        for part, held in _parts(value):
            yield from _argument(f"{name}{part}", held, depth + 1)


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list | tuple):
        yield from ((f"[{index}]", one) for index, one in enumerate(value))
    elif isinstance(value, dict):
        yield from ((f"[{key!r}]", one) for key, one in value.items() if isinstance(key, str | int))
    elif dataclasses.is_dataclass(value) or type(value).__name__ == "IntermediateTensors":
        yield from ((f".{name}", one) for name, one in getattr(value, "__dict__", {}).items())


def _tensors(value: Any, depth: int = 0) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif depth < _DEEPEST:
        held = value.items() if isinstance(value, Mapping) else _parts(value)
        for _, one in held:
            yield from _tensors(one, depth + 1)


def _forward(function: Any) -> Component:
    """Its text is for people, and may be none; what counts is what it does."""
    source = fingerprints.source_of(function.__code__) or ""
    return Component("forward", fingerprints.function_hash(function), source)


def _function(function: Any) -> list[str]:
    """Its text, and what it does: the text is what people read, and may be none."""
    source = fingerprints.source_of(function.__code__) or ""
    return [*source.splitlines(), f"# {fingerprints.function_hash(function)}"]


def _config(vllm_config: Any) -> Iterator[str]:
    config = vllm_config.compilation_config
    for name in _HASHED:
        yield f"{name}={_plain(getattr(config, name, None))}"
    yield f"max_num_batched_tokens={max_num_batched_tokens(vllm_config)}"
    for one in fingerprints.functions_in(backends.own_callable(getattr(config, "backend", ""))):
        yield f"backend={one.__module__}.{one.__qualname__} {fingerprints.deep_hash(one)}"


def _options(program: Any) -> Iterator[str]:
    options = program.options
    yield f"dynamic_arg_dims={_plain(options.dynamic_arg_dims)}"
    yield f"mark_unbacked_dims={_plain(options.mark_unbacked_dims)}"
    yield f"is_encoder={options.is_encoder}"
    invariants = options.shape_invariants
    if invariants is not None:
        yield from (f"shape_invariants: {one}" for one in _callable(invariants))


def unhashable(vllm_config: Any) -> str | None:
    """A setting that is code whose changes the key would not see; None where there is none."""
    settings = getattr(vllm_config.compilation_config, "inductor_compile_config", None) or {}
    own = (f"inductor_compile_config[{name!r}]" for name, value in settings.items() if callable(value))
    return next(own, None) or platform.code_in_settings()


def _callable(function: Any) -> list[str]:
    if inspect.isfunction(function):
        return [*_function(function), fingerprints.deep_hash(function)]
    return [fingerprints.class_name(type(function))]


def _plain(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value.name)
    if isinstance(value, Mapping):
        items = sorted(((str(key), _plain(one)) for key, one in value.items()), key=lambda item: item[0])
        return "{" + ", ".join(f"{key}: {one}" for key, one in items) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        parts = [_plain(one) for one in value]
        return "[" + ", ".join(sorted(parts) if isinstance(value, set | frozenset) else parts) + "]"
    if value is None or isinstance(value, str | int | float | bool):
        return repr(value)
    if callable(value):
        return f"{getattr(value, '__module__', '?')}.{getattr(value, '__qualname__', '?')}"
    return _plain(vars(value)) if hasattr(value, "__dict__") else fingerprints.class_name(type(value))
