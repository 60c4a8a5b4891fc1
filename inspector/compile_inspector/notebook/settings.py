"""What users set with ``%config CompileInspector.…``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from warnings import warn

from IPython.core.magic import Magics
from traitlets import Bool, Enum, Float, TraitError

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


class Settings(Magics):
    """The settings, as traits. The magics inherit from it, so that IPython lists them under one name."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.ip = shell

    show = Enum(
        ("auto", "widget", "text", "none"),
        "auto",
        help="How a session appears below its cell: auto (interactive in a notebook, text in a terminal), widget, text, or none.",
    ).tag(config=True)
    progress_after = Float(
        0.5, min=0.0, help="Seconds that a compile takes before its progress is shown."
    ).tag(config=True)
    progress = Bool(True, help="Whether the progress of long compiles is shown.").tag(config=True)
    provenance = Bool(
        False,
        help="Whether to record which graph nodes each kernel was made of; this changes the key of Inductor's cache.",
    ).tag(config=True)


def settings_of(shell: InteractiveShell, kind: type[Settings]) -> Any:
    """A new ``kind`` configured from the shell.

    A value that a trait refuses, once set with ``%config``, stays in the shell's configuration and would be refused at every later
    load: the whole section is then dropped, with a warning.
    """
    try:
        return kind(shell)
    except TraitError as error:
        detach(shell, kind)
        shell.config.pop(kind.__name__, None)
        warn(
            f"the settings of {kind.__name__} are back at their defaults: {error}", UserWarning, stacklevel=4
        )
        return kind(shell)


def detach(shell: InteractiveShell, kind: type[Settings]) -> None:
    """Takes every instance of ``kind`` from the shell's list of configurables."""
    shell.configurables[:] = [one for one in shell.configurables if not isinstance(one, kind)]
