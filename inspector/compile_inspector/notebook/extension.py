"""``%load_ext compile_inspector`` and ``%unload_ext``: everything that is put into the shell, and its removal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_HELD_AS = "_compile_inspector"


class Extension:
    """What is loaded into one shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        from compile_inspector.notebook.completion import complete
        from compile_inspector.notebook.magics import CompileInspector
        from compile_inspector.notebook.settings import settings_of
        from compile_inspector.notebook.watch import Watch

        self._shell = shell
        self._complete = complete
        self._magics: CompileInspector = settings_of(shell, CompileInspector)
        self._magics.watch = Watch(shell, self._magics)
        shell.register_magics(self._magics)
        shell.Completer.custom_matchers.append(complete)

    def detach(self) -> None:
        """Takes everything back out of the shell."""
        from compile_inspector.notebook.settings import detach

        self._magics.watch.stop()
        manager = self._shell.magics_manager
        for kind, names in self._magics.magics.items():
            table: dict[str, Any] = manager.magics[kind]
            for name, function in names.items():
                if table.get(name) == function:
                    del table[name]
        manager.registry.pop(type(self._magics).__name__, None)
        detach(self._shell, type(self._magics))
        matchers = self._shell.Completer.custom_matchers
        matchers[:] = [one for one in matchers if one is not self._complete]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Loads the magics into a shell; what an earlier load left there goes first."""
    unload_ipython_extension(shell)
    setattr(shell, _HELD_AS, Extension(shell))


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Takes the magics, their settings, completions and events out of a shell; one without them is left as it is."""
    held: Extension | None = vars(shell).pop(_HELD_AS, None)
    if held is not None:
        held.detach()
