"""Completions after the magics."""

from __future__ import annotations

import pytest
from IPython.core.completer import provisionalcompleter


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("%inspector ", {"on", "off", "status", "reset"}),
        ("%inspector o", {"on", "off"}),
        ("%%inspect --v", {"--view"}),
        ("%%inspect --view gr", {"graph"}),
        ("%%inspect --view=gr", {"graph"}),
        ("%inspect --name a --", {"--view", "--save", "--provenance"}),
        ("%%inspect --view part", {"partitions"}),
        ("%support_torch_compile model x=0 --d", {"--dynamic-shapes", "--dropped-guards"}),
        ("%support_torch_compile model --dynamic-shapes un", {"unbacked"}),
        ("%support_torch_compile model --mode=N", {"NONE"}),
        ("%capture_graphs model 1,2 --m", {"--mode", "--max-seconds", "--max-pool-bytes"}),
        ("%capture_graphs model 1,2 --mode P", {"PIECEWISE"}),
    ],
)
def test_options_and_their_values_are_offered(shell, typed: str, offered: set[str]) -> None:
    """What fits at the cursor is offered, and nothing else."""
    with provisionalcompleter():
        found = {one.text for one in shell.Completer.completions(typed, len(typed))}
    assert found == offered


@pytest.mark.parametrize(
    "typed", ["%inspector on o", "%inspect mod", "%support_torch_compile mod", "%time --v", "x = inspector o"]
)
def test_elsewhere_ipythons_own_completions_stay(shell, typed: str) -> None:
    """Our matcher is silent where the line is not its business, and lets others speak after an expression."""
    from IPython.core.completer import CompletionContext

    from compile_inspector.notebook.completion import complete

    context = CompletionContext(
        token="", full_text=typed, cursor_position=len(typed), cursor_line=0, limit=None
    )
    found = complete(context)
    assert (list(found["completions"]), found["suppress"]) == ([], False)
