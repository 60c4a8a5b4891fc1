"""What differs where a tensor guard fails: class, dtype, device, gradient, rank, sizes, strides; one finding each."""

from __future__ import annotations

import re
from typing import Any

from compile_inspector.torch_seams.finding import Finding, code_of
from compile_inspector.torch_seams.tensor_facts import TensorFacts, is_tensor, key_names
from compile_inspector.torch_seams.value_text import text_of

_TENSOR = re.compile(
    r"check_tensor\((?P<source>.*), (?P<kind>[^,()]+), (?P<keys>DispatchKeySet\([^()]*\)), torch\.(?P<dtype>\w+), device=(?P<device>\w+), "
    r"requires_grad=(?P<grad>\w+), size=\[(?P<size>[^\]]*)\], stride=\[(?P<stride>[^\]]*)\]\)"
)
_BACKENDS = {
    "CPU": "cpu",
    "CUDA": "cuda",
    "XPU": "xpu",
    "MPS": "mps",
    "HPU": "hpu",
    "Meta": "meta",
    "MTIA": "mtia",
    "XLA": "xla",
}


def tensor_match(part: str, source: str, value: Any, facts: TensorFacts | None) -> list[Finding]:
    """The sides in which a tensor differs from torch's text of the guard."""
    match = _TENSOR.search(part)
    if match is None:
        return [Finding(source, "TENSOR_MATCH", code_of(part), None, text_of(value))]
    if not is_tensor(value) or facts is None:
        wanted = f"a {match['kind']}"
        return [Finding(source, "TENSOR_MATCH", f"type({source}) is {match['kind']}", wanted, text_of(value))]
    findings = [
        Finding(
            source,
            "TENSOR_MATCH",
            _property_check(source, what, wanted),
            f"{what} {wanted}",
            f"{what} {have}",
        )
        for what, wanted, have in _properties(match, facts)
        if wanted != have
    ]
    findings += _sizes(match, source, facts)
    return findings or [Finding(source, "TENSOR_MATCH", code_of(part), None, text_of(value))]


def _property_check(source: str, what: str, wanted: str) -> str:
    if what == "type":
        return f"type({source}) is {wanted}"
    return f"{source} has the same dispatch keys" if " " in what else f"{source}.{what} == {wanted}"


def _properties(match: re.Match[str], facts: TensorFacts) -> list[tuple[str, str, str]]:
    wanted_keys = key_names(match["keys"])
    properties = [
        ("type", match["kind"], facts.kind),
        ("dtype", match["dtype"], facts.dtype),
        ("requires_grad", match["grad"], str(facts.requires_grad)),
    ]
    wanted_device = _device(wanted_keys, match["device"])
    if wanted_device is None or wanted_device == facts.device:
        gone, new = wanted_keys - facts.keys, facts.keys - wanted_keys
        mode = " under torch.inference_mode()" if facts.is_switched and gone and not new else ""
        return [*properties, ("dispatch keys", _names(gone, new), _names(new, gone) + mode)]
    return [*properties, ("device", wanted_device, facts.device)]


def _names(own: frozenset[str], other: frozenset[str]) -> str:
    return ", ".join(sorted(own)) or ("" if not other else f"without {', '.join(sorted(other))}")


def _device(keys: frozenset[str], index: str) -> str | None:
    kind = next((name for key, name in _BACKENDS.items() if key in keys), None)
    return kind if kind is None or index == "None" else f"{kind}:{index}"


def _sizes(match: re.Match[str], source: str, facts: TensorFacts) -> list[Finding]:
    sizes, strides = _numbers(match["size"]), _numbers(match["stride"])
    if len(sizes) != len(facts.size):
        text = f"{source}.dim() == {len(sizes)}"
        return [Finding(source, "TENSOR_MATCH", text, _dimensions(len(sizes)), _dimensions(len(facts.size)))]
    changed = _differing(source, "size", sizes, facts.size)
    if changed and facts.is_contiguous:
        return changed
    return changed + (
        _differing(source, "stride", strides, facts.stride) if len(strides) == len(facts.stride) else []
    )


def _dimensions(count: int) -> str:
    return "1 dimension" if count == 1 else f"{count} dimensions"


def _differing(source: str, what: str, wanted: list[int | None], have: tuple[int, ...]) -> list[Finding]:
    return [
        Finding(
            f"{source}.{what}()[{i}]",
            "TENSOR_MATCH",
            f"{source}.{what}()[{i}] == {want}",
            str(want),
            str(got),
        )
        for i, (want, got) in enumerate(zip(wanted, have, strict=True))
        if want is not None and want != got
    ]


def _numbers(text: str) -> list[int | None]:
    return [None if part.strip() == "None" else int(part) for part in text.split(",") if part.strip()]
