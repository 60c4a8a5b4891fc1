"""Fixes that change the call: the state of the process it runs in, or what it passes, for all failing guards at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from compile_inspector.analyze.findings.fixes import OBLIVIOUS, mark_fix
from compile_inspector.analyze.findings.names import python_name, statement
from compile_inspector.analyze.findings.observed import size_of
from compile_inspector.analyze.findings.sites import Site
from compile_inspector.model.findings import Fix
from compile_inspector.model.recompiles import FailingGuard

Guards = tuple[FailingGuard, ...]
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?(?:e[-+]?\d+)?|inf|nan)$")
_INT = re.compile(r"-?\d+$")
_COMPOUND = re.compile(r"(?:with|for|if|while|try|return|assert|yield)\b|.*;")
_RATE = re.compile(r"(.+)\.param_groups\[\d+\]\['lr'\]$")
_AUTOCAST = re.compile(r"autocast\((\w+)\)_(enabled|dtype)$")
_MODES = {"grad_mode": "grad mode", "inference_mode": "inference mode"}
_DISPATCH = "dispatch keys"
_INFERENCE = re.compile(r"\b(?:ADInplaceOrView|Autograd\w*)\b")
_VALUES = frozenset({"EQUALS_MATCH", "CONSTANT_MATCH", "LAMBDA_GUARD", "TYPE_MATCH"})


def of_call(guards: Guards, site: Site, first: Site) -> tuple[list[Fix], Guards]:
    """The fixes, and the guards that they leave.

    Args:
        guards: That failed together.
        site: The call that recompiled.
        first: The call that made the code which did not fit.
    """
    makers: tuple[tuple[Callable[[FailingGuard], bool], Callable[[Guards, Site, Site], Fix]], ...] = (
        (lambda guard: bool(_context((guard,))), _of_state),
        (lambda guard: _wrap(guard) is not None, _of_tensors),
        (is_plain_size, _of_sizes),
        (is_number, _of_numbers),
    )
    inference = _is_inference(guards)
    taken = [tuple(guard for guard in guards if takes(guard)) for takes, _ in makers]
    if sum(map(bool, taken)) > 1:
        # each would write the call anew: by the function's own names they are lines before one call
        site, first = Site(site.location), Site(first.location)
    fixes = [
        make(
            some,
            *(
                one if make is _of_sizes else one.passing(guard.source for guard in some)
                for one in (site, first)
            ),
        )
        for some, (_, make) in zip(taken, makers, strict=True)
        if some
    ]
    if inference:
        fixes = [_of_inference(guards, site), *fixes[1:]]
    done = [guard for some in taken for guard in some]
    left = (guard for guard in guards if guard not in done and not (inference and _is_dispatch(guard)))
    return fixes, tuple(left)


def is_plain_size(guard: FailingGuard) -> bool:
    """Whether a guard is on the size of one input alone, as a number."""
    held = "._parameters[" in guard.source or "._buffers[" in guard.source
    return (
        size_of(guard.source) is not None and guard.kind == "TENSOR_MATCH" and not guard.others and not held
    )


def is_number(guard: FailingGuard) -> bool:
    """Whether a guard is on a Python number that is not always an int."""
    pair = (guard.expected or "", guard.actual or "")
    return (
        guard.kind in _VALUES
        and not guard.others
        and python_name(guard.source) is not None
        and all(_NUMBER.match(one) for one in pair)
        and not all(_INT.match(one) for one in pair)
    )


def of_inference(guard: FailingGuard) -> bool:
    """Whether a tensor's dispatch keys changed as they do for one that is made under ``torch.inference_mode()``."""
    return _is_dispatch(guard) and _INFERENCE.search(f"{guard.expected} {guard.actual}") is not None


def _is_dispatch(guard: FailingGuard) -> bool:
    return guard.kind == "TENSOR_MATCH" and (guard.expected or "").startswith(_DISPATCH)


def _is_inference(guards: Guards) -> bool:
    return any(guard.source == "grad_mode" for guard in guards) and any(
        of_inference(guard) for guard in guards
    )


def _of_inference(guards: Guards, site: Site) -> Fix:
    """Entering or leaving inference_mode changes the grad mode and what tensors are."""
    was = next(guard.expected for guard in guards if guard.source == "grad_mode")
    mode = "False" if was == "True" else "True"
    return Fix(
        _inside([f"torch.inference_mode({mode})"], site),
        f"{site.instead}: every call runs in one mode, and so do the lines that make its tensors; where both modes are needed, "
        "two compiles are what it takes, and no more come",
    )


def _context(guards: Guards) -> list[str]:
    """The contexts in which the state is what it was."""
    found: dict[str, None] = {}
    casts: dict[str, dict[str, str]] = {}
    for guard in guards:
        cast = _AUTOCAST.match(guard.source)
        if guard.source == "grad_mode" and guard.expected in ("True", "False"):
            found[f"torch.set_grad_enabled({guard.expected})"] = None
        elif guard.source == "inference_mode":
            found |= dict.fromkeys(("torch.inference_mode(False)", "torch.no_grad()"))
        elif cast is not None and guard.expected is not None:
            casts.setdefault(cast[1], {})[cast[2]] = guard.expected
    for device, was in casts.items():
        if was.get("enabled") == "False":
            found[f"torch.autocast({device!r}, enabled=False)"] = None
            continue
        dtype = was.get("dtype")
        named = (
            f"torch.get_autocast_dtype({device!r})"
            if dtype is None
            else f"torch.{dtype.removeprefix('torch.')}"
        )
        found[f"torch.autocast({device!r}, dtype={named})"] = None
    return list(found)


def _inside(contexts: Iterable[str], site: Site) -> str:
    run = statement(site.location.code) if site.location is not None else ""
    run = "..." if not run or _COMPOUND.match(run) else run
    if run == "..." and site.call is not None:
        run = site.call.text
    return f"with {', '.join(contexts)}:\n    {run}"


def _of_state(guards: Guards, site: Site, _first: Site) -> Fix:
    modes = " and ".join(dict.fromkeys(_MODES.get(guard.source, "autocast") for guard in guards))
    tensors = (
        ", and so do the lines that make its tensors"
        if any(guard.source == "inference_mode" for guard in guards)
        else ""
    )
    return Fix(
        _inside(_context(guards), site),
        f"{site.instead}: every call runs in one {modes}{tensors}; where both modes are needed, two compiles are what it takes, "
        "and no more come",
    )


def _wrap(guard: FailingGuard) -> tuple[str, str, str] | None:
    """A tensor, the expression that makes it what it was, and what that is."""
    source, was = guard.source, guard.expected or ""
    if ".stride()[" in source:
        return source.partition(".stride()[")[0], "{}.contiguous()", "every call brings the same layout"
    if guard.kind != "TENSOR_MATCH":
        return None
    if was.startswith("dtype "):
        dtype = was[6:].removeprefix("torch.")
        return source, f"{{}}.to(torch.{dtype})", "the dtype that it was compiled for"
    if was.startswith("requires_grad "):
        return source, f"{{}}.detach().requires_grad_({was[14:]})", "as it was when it was compiled"
    if was.startswith("device"):
        return source, f"{{}}.to({was.rpartition(' ')[2]!r})", "where it was when it was compiled"
    return None


def _of_tensors(guards: Guards, site: Site, _first: Site) -> Fix:
    wraps: dict[str, str] = {}
    notes: dict[str, None] = {}
    lines: dict[str, None] = {}
    for guard in guards:
        found = _wrap(guard)
        if found is None:
            continue
        source, wrap, note = found
        notes[note] = None
        if "._parameters[" in source:
            name = site.name(source) or source
            lines[_held(name, wrap, guard.expected or "")] = None
        else:
            wraps[source] = wrap.replace("{}", wraps[source]) if wraps.get(source, wrap) != wrap else wrap
    pasted = site.wrapped(wraps)
    code = "\n".join([*lines, *([pasted.code] if pasted.code else [])])
    return Fix(code, f"{pasted.where}: {'; '.join(notes)}")


def _held(name: str, wrap: str, was: str) -> str:
    """The same for a parameter, which is changed in its place."""
    if was.startswith("requires_grad "):
        return f"{name}.requires_grad_({was[14:]})"
    return f"{name}.data = {wrap.format(f'{name}.data')}"


def _of_sizes(guards: Guards, _site: Site, first: Site) -> Fix:
    constant = any(size in ("0", "1") for guard in guards for size in (guard.expected, guard.actual))
    return mark_fix(
        tuple(dict.fromkeys(guard.source for guard in guards)),
        first,
        what="its size is a symbol"
        + ("; 0 and 1 are constants without the setting" if constant else "")
        + "; dynamic=False keeps every size that is not marked a number",
        settings=(OBLIVIOUS,) if constant else (),
    )


def _of_numbers(guards: Guards, site: Site, first: Site) -> Fix:
    """Numbers become tensors, in the call that compiled and in the one that recompiled; an optimizer's rates once for all calls."""
    rates = [_RATE.match(guard.source) for guard in guards]
    optimizers = [site.name(found[1]) for found in rates if found is not None]
    if len(optimizers) == len(rates) and None not in optimizers:
        return Fix(
            "\n".join(
                f"for group in {name}.param_groups:\n    group['lr'] = torch.as_tensor(group['lr'])"
                for name in dict.fromkeys(optimizers)
            ),
            "once, before the first call: a tensor's value is not part of the compiled code; a scheduler fills the tensor that it finds, "
            "and so has to a line that sets the rate itself (group['lr'].fill_(rate))",
        )
    wraps = {
        guard.source: "torch.tensor(float({}))"
        if _INT.match(guard.expected or "") or _INT.match(guard.actual or "")
        else "torch.tensor({})"
        for guard in guards
    }
    both = [site] if first.location in (None, site.location) else [first, site]
    pasted = [one.wrapped(wraps) for one in both]
    return Fix(
        "\n".join(dict.fromkeys(one.code for one in pasted)),
        f"{' and '.join(one.where for one in pasted)}: a tensor's value is not part of the compiled code",
    )
