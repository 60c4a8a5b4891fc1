"""Every exception that this package raises on purpose.

InspectorError
├── RecordingError            the recorder was asked for something out of order
│   ├── NotRecording          a session was asked for before the recorder was entered
│   └── StillRecording        ... or before it was left
├── LogError                  a trace log could not be opened (also an OSError's message, translated)
│   ├── NotATraceLog          the file holds no trace record at all
│   └── SeveralRanks          a folder holds the logs of more than one rank
├── TableAbsent               a table was asked for that this recording cannot have
├── LabError                  a trial cannot be made as asked: unknown input, nothing to vary, no fix to apply
├── DrawingError              graphviz failed or took too long
└── EngineError               the compile decorator was asked for something it cannot do, or found a promise broken
    ├── InvalidConfig         a configuration's value cannot be right (also a ValueError)
    ├── InvalidDims           so with dynamic dimensions (also a ValueError)
    ├── NotDecoratable        a class or object cannot be decorated or built so (also a TypeError)
    ├── CaptureError          CUDA graphs cannot be captured as asked: nothing compiled yet, or within another capture
    ├── GuardViolation        a call that a dropped guard does not admit, under "raise" (also a RuntimeError)
    ├── NotLoaded             nothing kept could be loaded, and force_aot_load asks for an error (also a RuntimeError)
    └── NotKept               a compiled program was to be written and could not be (also a RuntimeError)
"""

from __future__ import annotations


class InspectorError(Exception):
    """The base of every error this package raises on purpose."""


class RecordingError(InspectorError):
    """The recorder was used out of order."""


class NotRecording(RecordingError):  # noqa: N818
    """A session was asked for before recording began."""


class StillRecording(RecordingError):  # noqa: N818
    """A finished session was asked for while recording goes on."""


class LogError(InspectorError):
    """A trace log could not be opened or read; the message names the file."""


class NotATraceLog(LogError):  # noqa: N818
    """The file was read to its end and holds no trace record."""


class SeveralRanks(LogError):  # noqa: N818
    """The folder holds logs of several ranks; the message lists the files to choose from."""


class TableAbsent(InspectorError):  # noqa: N818
    """The table does not exist in this recording; the message says why."""


class LabError(InspectorError):
    """A trial of the lab cannot be made as asked; the message says what to change."""


class DrawingError(InspectorError):
    """Graphviz is missing, failed, or took longer than it was given."""


class EngineError(InspectorError):
    """The compile decorator was asked for something it cannot do."""


class InvalidConfig(EngineError, ValueError):  # noqa: N818
    """A value of a configuration cannot be right; the message says which, and what can be."""


class InvalidDims(EngineError, ValueError):  # noqa: N818
    """Dynamic dimensions that do not fit the forward method or the argument."""


class NotDecoratable(EngineError, TypeError):  # noqa: N818
    """A class that cannot be decorated, or an instance of one that was built in a way that cannot be understood."""


class CaptureError(EngineError):
    """CUDA graphs cannot be captured as asked; the message says what to do first."""


class GuardViolation(EngineError, RuntimeError):  # noqa: N818
    """A call for which a guard that was dropped at the compile does not hold; the message names it and the line it comes from."""


class NotLoaded(EngineError, RuntimeError):  # noqa: N818
    """No kept artifact could be loaded, under ``force_aot_load``; the message says why."""


class NotKept(EngineError, RuntimeError):  # noqa: N818
    """A compiled program could not be kept on disk; the message says why."""
