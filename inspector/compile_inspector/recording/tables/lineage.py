"""What torch noted of where nodes come from, of a compile: from the facts ``lineage`` that its seam told before each printed graph."""

from __future__ import annotations

import msgspec

from compile_inspector.model.lineage import Lineage, Noted
from compile_inspector.recording.fold import FACT, CompileTrace, Trace


def lineage(trace: Trace, compile_: CompileTrace) -> Lineage | None:
    """The lineage of a compile's graphs; None where Dynamo's graph or every later one was printed without being seen."""
    noted: list[Noted] = []
    program: Noted | None = None
    joint: Noted | None = None
    for record in compile_.shipped:
        if record.artifact == FACT + "lineage":
            fact = trace.fact(record)
            try:
                noted.append(msgspec.convert(fact, Noted, str_keys=True))
            except msgspec.ValidationError as error:
                trace.losses.add(trace.where(record), f"the fact lineage cannot be read: {error}")
        elif record.event == "dynamo_output_graph" and noted:
            program = noted[-1]
        elif record.event == "aot_joint_graph" and noted:
            joint = noted[-1]
    if program is None or not any(one.nodes for one in noted):
        return None
    return Lineage(noted, program=program, joint=joint)
