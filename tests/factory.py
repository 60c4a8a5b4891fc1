"""Recordings made by hand, for tests that run without torch.

`make_tables` turns rows into `Tables`; `sample_tables` is one rich recording with something in every table, and hostile text in it.
The other functions make one row each, with defaults for what a test does not care about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compile_inspector.model.applied import Applied, MarkedDim, UnmarkedDim
from compile_inspector.model.artifacts import Artifact
from compile_inspector.model.breaks import GraphBreak
from compile_inspector.model.caches import CacheLookup, KeyComponent, KeyDifference
from compile_inspector.model.captures import Capture
from compile_inspector.model.compiles import Compile, CompileFailure, Frame, Phase, Restart
from compile_inspector.model.environment import ConfigPatch, Environment
from compile_inspector.model.files import TracedFile
from compile_inspector.model.findings import Finding, FindingKind, Fix
from compile_inspector.model.graph import Graph
from compile_inspector.model.guard_costs import GuardCost, GuardFilter, GuardGroup
from compile_inspector.model.guards import Guard
from compile_inspector.model.kernels import Kernel, OutputCode
from compile_inspector.model.locations import Location
from compile_inspector.model.nodes import NodeOrigin
from compile_inspector.model.partitions import Partition
from compile_inspector.model.ranges import CompileRange
from compile_inspector.model.recompiles import EntryCheck, FailingGuard, Recompile, Unevaluated
from compile_inspector.model.records import Loss
from compile_inspector.model.symbols import Dim, Specialization, Symbol
from compile_inspector.model.tables import Tables
from compile_inspector.model.text import hold
from compile_inspector.model.violations import Violation

HOSTILE = "<script>alert(1)</script>"
"""Text that must be inert in HTML."""

HOSTILE_TERMINAL = "\x1b[31mred\x1b[0m [bold]loud[/bold] \u202egnp.exe"
"""Text that must be inert in a terminal: ANSI colours, rich's markup, a mark that turns the writing direction."""

RECORDED = (
    "findings",
    "compiles",
    "graphs",
    "guards",
    "guard_costs",
    "guard_filters",
    "symbols",
    "specializations",
    "dims",
    "graph_breaks",
    "recompiles",
    "traced_files",
    "applied",
    "ranges",
    "violations",
    "partitions",
    "captures",
    "kernels",
    "output_code",
    "caches",
    "artifacts",
    "losses",
)
"""The tables that a recording has; the others are absent with a reason."""

ABSENT: Mapping[str, str] = {}

MODEL = "/home/ada/project/model.py"
TRAIN = "/home/ada/project/train.py"
CELL = "In [3]"
MS = 1_000_000

FORWARD = Location(file=MODEL, line=31, function="forward", code="def forward(self, x, mask):")
SCALE_LINE = Location(file=MODEL, line=36, function="forward", code="h = h * self.scale")
VIEW_LINE = Location(file=MODEL, line=34, function="forward", code="h = x.view(x.shape[0], -1, 16)")
BRANCH_LINE = Location(file=MODEL, line=38, function="forward", code="if h.shape[1] == 8:")
PRINT_LINE = Location(file=MODEL, line=52, function="log_norm", code="print(h.norm())")
CALL_LINE = Location(file=TRAIN, line=17, function="step", code="loss = model(batch, mask).mean()")
CELL_CALL = Location(file=CELL, line=4, function="<module>", code="net(torch.randn(3, 8))")
CELL_FORWARD = Location(file=CELL, line=1, function="net", code="def net(x):")

DYNAMO_GRAPH = """\
class GraphModule(torch.nn.Module):
    def forward(self, s77: "Sym(s77)", L_x_: "f32[s77, 128][128, 1]cpu", L_self_parameters_w_: "f32[16, 16][16, 1]cpu"):
        l_x_ = L_x_
        l_self_parameters_w_ = L_self_parameters_w_

         # File: /home/ada/project/model.py:34 in forward, code: h = x.view(x.shape[0], -1, 16)
        h: "f32[s77, 8, 16][128, 16, 1]cpu" = l_x_.view(s77, -1, 16);  l_x_ = None

         # File: /home/ada/project/model.py:35 in forward, code: h = F.linear(h, self.w)
        h_1: "f32[s77, 8, 16][128, 16, 1]cpu" = torch._C._nn.linear(h, l_self_parameters_w_);  h = l_self_parameters_w_ = None

         # File: /home/ada/project/model.py:36 in forward, code: h = h * self.scale
        h_2: "f32[s77, 8, 16][128, 16, 1]cpu" = h_1 * 2.0;  h_1 = None
        return (h_2,)
"""

CELL_GRAPH = """\
class GraphModule(torch.nn.Module):
    def forward(self, L_x_: "f32[2, 8][8, 1]cpu"):
        l_x_ = L_x_

         # File: /tmp/ipykernel_7/3.py:2 in net, code: return x.relu()
        relu: "f32[2, 8][8, 1]cpu" = l_x_.relu();  l_x_ = None
        return (relu,)
"""

POST_GRAD_GRAPH = """\
class <lambda>(torch.nn.Module):
    def forward(self, arg0_1: "Sym(s77)", arg1_1: "f32[s77, 128][128, 1]cpu", arg2_1: "f32[16, 16][16, 1]cpu"):
         # File: /home/ada/project/model.py:34 in forward, code: h = x.view(x.shape[0], -1, 16)
        view: "f32[s77, 8, 16][128, 16, 1]cpu" = torch.ops.aten.reshape.default(arg1_1, [arg0_1, 8, 16]);  arg1_1 = arg0_1 = None

         # File: /home/ada/project/model.py:36 in forward, code: h = h * self.scale
        mul: "f32[s77, 8, 16][128, 16, 1]cpu" = torch.ops.aten.mul.Tensor(view, 2.0);  view = None
        return (mul,)
"""

TRITON_SOURCE = """\
@triton.jit
def triton_poi_fused_mul_0(in_ptr0, out_ptr0, xnumel, XBLOCK : tl.constexpr):
    xoffset = tl.program_id(0) * XBLOCK
    xindex = xoffset + tl.arange(0, XBLOCK)[:]
    tmp0 = tl.load(in_ptr0 + xindex, xindex < xnumel)
    tl.store(out_ptr0 + xindex, tmp0 * 2.0, xindex < xnumel)
"""


def make_tables(
    *,
    environment: Environment | None = None,
    absent: Mapping[str, str] = ABSENT,
    **tables: Sequence[Any] | None,
) -> Tables:
    """Tables of the given rows; a recorded table that is not given is empty, one given as None is absent."""
    unknown = set(tables) - set(Tables.names())
    if unknown:
        msg = f"no tables are named {sorted(unknown)}"
        raise TypeError(msg)
    rows = {name: tuple(tables.get(name) or ()) for name in RECORDED if tables.get(name, ()) is not None}
    rows |= {name: tuple(given) for name, given in tables.items() if given is not None}
    builders = {name: (lambda found=found: found) for name, found in rows.items()}
    return Tables(builders, environment=environment or Environment(), absent=absent)


def make_compile(compile_id: str = "0/0", **changes: Any) -> Compile:
    """A compile of ``Net.forward`` that went well."""
    values: dict[str, Any] = {
        "id": compile_id,
        "frame": Frame(function="forward", location=FORWARD),
        "trigger": CALL_LINE,
        "attempts": 1,
        "restarts": (),
        "status": "ok",
        "error": None,
        "start_ns": 1_780_000_000_000_000_000,
        "elapsed_ns": 412 * MS,
        "phases": make_phases(412 * MS),
        "guard_count": 21,
        "node_count": 6,
        "caches": ("fx_graph: miss", "aot_autograd: miss"),
    }
    return Compile(**(values | changes))


def make_phases(total_ns: int) -> tuple[Phase, ...]:
    """The phases of a compile that took ``total_ns``."""
    return (
        Phase(name="_compile.compile_inner", start_ns=0, elapsed_ns=total_ns, depth=0),
        Phase(name="bytecode_tracing", start_ns=total_ns // 50, elapsed_ns=total_ns // 5, depth=1),
        Phase(name="backend_compile", start_ns=total_ns // 4, elapsed_ns=total_ns * 6 // 10, depth=1),
        Phase(name="compile_fx_inner", start_ns=total_ns // 3, elapsed_ns=total_ns // 2, depth=2),
        Phase(name="build_guards", start_ns=total_ns * 9 // 10, elapsed_ns=total_ns // 20, depth=1),
    )


def make_guard(compile_id: str = "0/0", **changes: Any) -> Guard:
    """A guard on the size of an input."""
    values: dict[str, Any] = {
        "compile_id": compile_id,
        "kind": "TENSOR_MATCH",
        "source": "L['x']",
        "expr": "check_tensor(L['x'], Tensor, torch.float32, device=None, size=[None, 128], stride=[128, 1])",
        "location": VIEW_LINE,
        "stack": (CALL_LINE, VIEW_LINE),
        "parent": "L",
    }
    return Guard(**(values | changes))


def make_dim(source: str = "L['x']", dim: int = 0, verdict: str = "static", **changes: Any) -> Dim:
    """A dimension of an input."""
    values: dict[str, Any] = {
        "compile_id": "0/0",
        "source": source,
        "dim": dim,
        "size": 4,
        "symbol": None,
        "verdict": verdict,
        "why": "the first call's size; a second size makes it dynamic",
        "location": None,
    }
    return Dim(**(values | changes))


def make_failing(
    source: str = "L['x'].size()[0]", expected: str | None = "4", actual: str | None = "5", **changes: Any
) -> FailingGuard:
    """A failing guard on a size."""
    values: dict[str, Any] = {
        "source": source,
        "kind": "TENSOR_MATCH",
        "expr": f"{source} == {expected}",
        "expected": expected,
        "actual": actual,
        "location": VIEW_LINE,
    }
    return FailingGuard(**(values | changes))


def make_entry(entry_id: str = "0/0", *failing: FailingGuard, **changes: Any) -> EntryCheck:
    """An earlier entry whose guards were all evaluated."""
    values: dict[str, Any] = {
        "entry_id": entry_id,
        "failing": failing,
        "unevaluated": (),
        "torch_reason": failing[0].expr if failing else None,
        "complete": True,
    }
    return EntryCheck(**(values | changes))


def make_break(**changes: Any) -> GraphBreak:
    """A graph break at a call of print."""
    values: dict[str, Any] = {
        "compile_id": "1/0",
        "location": PRINT_LINE,
        "reason": "Failed to trace builtin operator",
        "explanation": "Dynamo does not know how to trace builtin operator `print` with argument types ['<unknown type>']",
        "hints": (
            "Avoid calling builtin `print` with argument types ['<unknown type>'].",
            "Use `torch._dynamo.config.reorderable_logging_functions`.",
        ),
        "registry_id": "GB0059",
        "count": 2,
        "stack": (CALL_LINE, PRINT_LINE),
    }
    return GraphBreak(**(values | changes))


def make_graph(
    compile_id: str = "0/1",
    stage: str = "dynamo",
    name: str = "dynamo_output_graph",
    text: str = DYNAMO_GRAPH,
    **changes: Any,
) -> Graph:
    """A graph from torch's printout."""
    return Graph(compile_id=compile_id, stage=stage, name=name, text=hold(text), **changes)  # type: ignore[arg-type]


def make_applied(**changes: Any) -> Applied:
    """A module that was applied, and compiled once."""
    values: dict[str, Any] = {
        "module": "model.layers.0",
        "class_name": "project.model.Block",
        "how": "applied",
        "compiles": True,
        "mode": "PIECEWISE_COMPILE",
        "backend": "inductor",
        "dynamic_shapes": "BACKED",
        "evaluate_guards": False,
        "dynamic_dims": ("x: 0, 1",),
        "unbacked_dims": (),
        "dropped_guards": "recompile",
        "splitting_ops": ("mylib::attention",),
        "is_encoder": False,
        "location": FORWARD,
        "compile_ids": ("0/1",),
        "marked": (MarkedDim("L['x']", 0, 5, "backed"),),
    }
    return Applied(**(values | changes))


def make_violation(**changes: Any) -> Violation:
    """A call whose size a guard did not admit."""
    values: dict[str, Any] = {
        "compile_id": "0/1",
        "module": "model.layers.0",
        "class_name": "project.model.Block",
        "source": "L['x'].size()[0]",
        "expr": "4 <= L['x'].size()[0]",
        "expected": "4 <= L['x'].size()[0]",
        "actual": "3",
        "category": "size",
        "action": "recompiled",
        "location": BRANCH_LINE,
        "count": 1,
    }
    return Violation(**(values | changes))


def make_partition(index: int = 0, **changes: Any) -> Partition:
    """A piece of a Dynamo graph that was split."""
    values: dict[str, Any] = {
        "compile_id": "0/1",
        "by": "fx",
        "graph": 0,
        "index": index,
        "name": f"submod_{index}",
        "kind": "compiled",
        "nodes": ("h", "h_1"),
        "split_op": None,
        "reason": None,
        "capturable": True,
    }
    return Partition(**(values | changes))


def make_capture(number: int = 1, size: int | None = 4, **changes: Any) -> Capture:
    """A whole model captured for a batch of 4, which pays after 10 replays."""
    values: dict[str, Any] = {
        "source": "engine",
        "number": number,
        "compile_id": "0/1",
        "module": None,
        "partition": None,
        "size": size,
        "key": None if size is None else str(size),
        "mode": "FULL",
        "event": "captured",
        "at_ns": 1_780_000_000_000_000_000 + number * 10 * MS,
        "capture_ns": 2 * MS,
        "pool_bytes_before": 0,
        "pool_bytes_after": 1 << 20,
        "kernel_count": 12,
        "memcpy_count": 1,
        "replay_count": 30,
        "replay_ns": MS // 10,
        "compiled_ns": 3 * MS // 10,
        "eager_ns": MS // 2,
    }
    return Capture(**(values | changes))


def make_range(**changes: Any) -> CompileRange:
    """A piece compiled for the sizes 1 to 16."""
    values: dict[str, Any] = {
        "compile_id": "0/1",
        "module": None,
        "partition": 0,
        "start": 1,
        "end": 16,
        "exact": False,
        "backend": "inductor",
        "outcome": "compiled",
        "reused_from": None,
        "elapsed_ns": 80 * MS,
        "call_count": 3,
        "symbol": "s77",
    }
    return CompileRange(**(values | changes))


def quiet_tables() -> Tables:
    """A recording of one compile with nothing wrong."""
    return make_tables(
        environment=_ENVIRONMENT,
        compiles=[make_compile("0/0")],
        graphs=[make_graph("0/0")],
        guards=[make_guard("0/0")],
        dims=[make_dim(), make_dim(dim=1, size=128)],
        traced_files=[_FILES[0]],
        caches=[CacheLookup("0/0", "fx_graph", "hit", "fq3k", (), (), None)],
    )


def sample_tables() -> Tables:
    """A recording with something in every table: two frames, recompiles, breaks, every verdict, hostile text."""
    return make_tables(
        environment=_ENVIRONMENT,
        compiles=_COMPILES,
        graphs=_graphs(),
        guards=_GUARDS,
        guard_costs=_GUARD_COSTS,
        guard_filters=_GUARD_FILTERS,
        symbols=_SYMBOLS,
        specializations=_SPECIALIZATIONS,
        dims=_DIMS,
        graph_breaks=_BREAKS,
        recompiles=_RECOMPILES,
        traced_files=_FILES,
        applied=_APPLIED,
        ranges=_RANGES,
        violations=_VIOLATIONS,
        partitions=_PARTITIONS,
        captures=_CAPTURES,
        kernels=_KERNELS,
        output_code=_OUTPUT_CODE,
        caches=_CACHES,
        artifacts=_ARTIFACTS,
        losses=_LOSSES,
        findings=_FINDINGS,
    )


def make_finding(kind: FindingKind = "recompile", **changes: Any) -> Finding:
    """A warning about ``L['x']`` with a line and a fix."""
    values: dict[str, Any] = {
        "severity": "warning",
        "title": "forward was compiled again (once) because L['x'] was dtype float32, is dtype float64",
        "subjects": ("L['x']",),
        "cause": Location(MODEL, 12, "forward", "return x * 2"),
        "evidence": ("0/1 does not fit 0/0: L['x'] was dtype float32, is dtype float64",),
        "fix": Fix(
            "x = x.to(torch.float32)", "before the call at run.py:7: the dtype that it was compiled for"
        ),
        "compile_ids": ("0/1",),
        "cost_ns": 655 * MS,
    }
    return Finding(kind=kind, **(values | changes))


_FINDINGS = (
    make_finding(
        "graph-break",
        severity="error",
        title=HOSTILE,
        subjects=(HOSTILE_TERMINAL,),
        evidence=(HOSTILE, HOSTILE_TERMINAL),
        fix=Fix(None, HOSTILE),
    ),
    make_finding(fix=Fix(HOSTILE_TERMINAL, HOSTILE)),
)

_ENVIRONMENT = Environment(
    torch="2.13.0+cpu",
    python="3.11.9",
    packages=(("triton", "3.5.0"), ("transformers", "5.1.0")),
    config=(ConfigPatch(module="torch._dynamo.config", name="recompile_limit", value="4", default="8"),),
    seams=(
        (
            "traced_files",
            "torch._dynamo.symbolic_convert.InliningInstructionTranslator.inline_call_ is not there",
        ),
    ),
)

_COMPILES = (
    make_compile("0/0"),
    make_compile(
        "0/1",
        start_ns=1_780_000_001_000_000_000,
        elapsed_ns=655 * MS,
        phases=make_phases(655 * MS),
        guard_count=24,
    ),
    make_compile(
        "0/2",
        start_ns=1_780_000_002_500_000_000,
        elapsed_ns=97 * MS,
        phases=make_phases(97 * MS),
        caches=("fx_graph: hit", "aot_autograd: bypass"),
    ),
    make_compile(
        "1/0",
        frame=Frame(function="log_norm", location=Location(MODEL, 50, "log_norm", "def log_norm(h):")),
        trigger=Location(MODEL, 37, "forward", "log_norm(h)"),
        attempts=2,
        restarts=(Restart(attempt=0, reason="Failed to trace builtin operator"),),
        elapsed_ns=58 * MS,
        phases=make_phases(58 * MS),
        guard_count=9,
        node_count=2,
        caches=("fx_graph: miss",),
    ),
    make_compile(
        "2/0",
        frame=Frame(function="net", location=CELL_FORWARD),
        trigger=CELL_CALL,
        elapsed_ns=None,
        phases=(),
        guard_count=4,
        node_count=2,
        caches=(),
        recovered=True,
        missing="its graph, times and caches: torch keeps none of them",
    ),
    make_compile(
        "3/0",
        frame=Frame(function=HOSTILE, location=Location(f"/tmp/{HOSTILE}.py", 1, HOSTILE, HOSTILE_TERMINAL)),
        trigger=CELL_CALL,
        status="failed",
        error=CompileFailure(
            type="BackendCompilerFailed",
            message=f"backend raised: {HOSTILE} {HOSTILE_TERMINAL}",
            location=CELL_CALL,
        ),
        elapsed_ns=11 * MS,
        phases=make_phases(11 * MS),
        guard_count=None,
        node_count=1,
        caches=(),
    ),
)


def _graphs() -> tuple[Graph, ...]:
    """Made anew each time: a graph keeps what it has parsed."""
    return (
        make_graph(
            "0/1",
            origins=(
                (
                    "h_1",
                    NodeOrigin(
                        module_path="layers.0.mlp",
                        module_class="torch.nn.modules.linear.Linear",
                        location=VIEW_LINE,
                    ),
                ),
                ("h_2", NodeOrigin(module_path="layers.0", module_class="Block", location=SCALE_LINE)),
            ),
            kernels_of=(("h_2", ("triton_poi_fused_mul_0",)),),
        ),
        make_graph("0/1", "post_grad", "inductor_post_grad_graph", POST_GRAD_GRAPH, direction="inference"),
        make_graph("2/0", text=CELL_GRAPH),
    )


_GUARDS = (
    make_guard("0/1"),
    make_guard(
        "0/1",
        kind="LAMBDA_GUARD",
        source="L['x'].size()[0]",
        expr="2 <= L['x'].size()[0]",
        location=VIEW_LINE,
    ),
    make_guard(
        "0/1",
        kind="EQUALS_MATCH",
        source="L['self'].scale",
        expr="L['self'].scale == 2.0",
        location=SCALE_LINE,
        stack=(CALL_LINE, SCALE_LINE),
        parent="L['self']",
    ),
    make_guard(
        "0/1",
        kind="TYPE_MATCH",
        source="L['self']._modules['layers']._modules['0']._modules['mlp']",
        expr="type(L['self'].layers[0].mlp) is Linear",
        location=Location(MODEL, 35, "forward", "h = F.linear(h, self.w)"),
        parent="L['self']._modules['layers']._modules['0']",
        dropped=True,
    ),
    make_guard(
        "0/1",
        kind="GRAD_MODE",
        source=None,
        expr="grad_mode == True",
        location=None,
        stack=(),
        parent=None,
        dropped=False,
    ),
    make_guard("0/1", source="L['y']", dropped=True, category="dtype", checked_by="decorator"),
    make_guard(
        "3/0",
        kind="DICT_CONTAINS",
        source=f"G[{HOSTILE!r}]",
        expr=f"{HOSTILE!r} in G and {HOSTILE_TERMINAL!r} != 1",
        parent="G",
    ),
    make_guard("2/0", source="L['x']", location=CELL_FORWARD, stack=(CELL_CALL, CELL_FORWARD)),
)

_SYMBOLS = (
    Symbol("0/1", "s77", ("L['x'].size()[0]", "L['mask'].size()[0]"), 5, "[2, int_oo]", "backed", VIEW_LINE),
    Symbol("0/1", "s12", ("L['x'].size()[1]",), 8, "[8, 8]", "backed", BRANCH_LINE, replaced_by="8"),
    Symbol(
        "0/1",
        "u0",
        (),
        None,
        "[0, int_oo]",
        "unbacked",
        Location(MODEL, 41, "forward", "n = mask.sum().item()"),
    ),
)

_SPECIALIZATIONS = (
    Specialization(
        "0/1",
        "s12",
        ("L['x'].size()[1]",),
        "8",
        "range_refined_to_singleton",
        BRANCH_LINE,
        stack=(CALL_LINE, BRANCH_LINE),
    ),
)

_DIMS = (
    make_dim(
        compile_id="0/1", size=5, symbol="s77", verdict="dynamic", why="4 in compile 0/0, 5 in this call"
    ),
    make_dim(
        compile_id="0/1",
        dim=1,
        size=8,
        verdict="specialized",
        why="s12 was pinned to 8 by a comparison",
        location=BRANCH_LINE,
    ),
    make_dim(
        "L['mask']",
        0,
        "duck-shared",
        compile_id="0/1",
        size=5,
        symbol="s77",
        why="the same size as L['x'] dim 0 when traced",
    ),
    make_dim(
        "L['mask']", 1, "zero-one", compile_id="0/1", size=1, why="sizes 0 and 1 are always specialized"
    ),
    make_dim(
        "L['ids']", 0, "marked", compile_id="0/1", size=7, symbol="s9", why="mark_dynamic was called on it"
    ),
    make_dim("L['ids']", 1, "static", compile_id="0/1", size=3),
    make_dim(
        "L['idx']", 0, "unbacked", compile_id="0/1", size=None, symbol="u0", why="its size comes from data"
    ),
    make_dim(
        "L['self'].w", 0, "static", compile_id="0/1", size=16, why="a parameter's size", is_parameter=True
    ),
    make_dim(
        "L['self'].w", 1, "static", compile_id="0/1", size=16, why="a parameter's size", is_parameter=True
    ),
    make_dim("L['x']", 0, "static", compile_id="0/0", size=4),
    make_dim(
        f"L[{HOSTILE!r}]",
        0,
        "dynamic",
        compile_id="3/0",
        size=2,
        symbol="s0",
        why=HOSTILE_TERMINAL,
        location=CELL_CALL,
    ),
)

_BREAKS = (
    make_break(),
    make_break(
        compile_id="3/0",
        location=Location(f"/tmp/{HOSTILE}.py", 9, HOSTILE, HOSTILE),
        reason=f"Unsupported {HOSTILE} {HOSTILE_TERMINAL}",
        explanation=None,
        hints=(),
        registry_id=None,
        count=1,
        stack=(),
    ),
)

_RECOMPILES = (
    Recompile(
        "0/2",
        CALL_LINE,
        (
            make_entry(
                "0/1",
                make_failing(
                    "L['self'].scale",
                    "2.0",
                    "3.0",
                    kind="EQUALS_MATCH",
                    expr="L['self'].scale == 2.0",
                    location=SCALE_LINE,
                ),
                make_failing(
                    "grad_mode",
                    "enabled",
                    "disabled",
                    kind="GRAD_MODE",
                    expr="grad_mode == True",
                    location=FORWARD,
                ),
                unevaluated=(
                    Unevaluated(
                        "L['ids'][0]",
                        "TENSOR_MATCH",
                        "check_tensor(L['ids'][0])",
                        "the length check of L['ids'] failed before it",
                    ),
                ),
            ),
            make_entry(
                "0/0",
                make_failing("L['x'].size()[0]", "4", "5"),
                make_failing("L['self'].scale", "2.0", "3.0", kind="EQUALS_MATCH", location=SCALE_LINE),
                make_failing("grad_mode", "enabled", "disabled", kind="GRAD_MODE", location=FORWARD),
            ),
        ),
    ),
    Recompile("0/1", CALL_LINE, (make_entry("0/0", make_failing("L['x'].size()[0]", "4", "5")),)),
    Recompile(
        "3/1",
        CELL_CALL,
        (
            make_entry(
                "3/0",
                make_failing(f"G[{HOSTILE!r}]", HOSTILE_TERMINAL, None, expr=HOSTILE, location=CELL_CALL),
                torch_reason=f"{HOSTILE!r} in G",
                complete=False,
            ),
        ),
    ),
)

_GUARD_COSTS = (
    GuardCost(
        "0/1",
        3,
        61_500,
        8_200,
        (
            GuardGroup((), 1, (("GLOBAL_STATE", 1),), None),
            GuardGroup(("L['self']",), 2, (("EQUALS_MATCH", 2),), 7_000),
            GuardGroup(("L['self']", "layers", "*"), 1, (("EQUALS_MATCH", 1),), 5_000),
            GuardGroup((f"L[{HOSTILE!r}]",), 1, (("TENSOR_MATCH", 1),), 400),
        ),
    ),
    GuardCost("3/0", 1, None, None, (), problem=HOSTILE_TERMINAL),
)

_GUARD_FILTERS = (
    GuardFilter("0/1", "torch.compiler.skip_guard_on_globals_unsafe", 0, 3, 8_100, ()),
    GuardFilter(
        "0/1",
        "torch.compiler.skip_all_guards_unsafe",
        3,
        0,
        None,
        (("L['self'].scale", "EQUALS_MATCH"), (HOSTILE_TERMINAL, "ID_MATCH")),
    ),
)

_FILES = (
    TracedFile(
        MODEL,
        ("forward", "log_norm"),
        2,
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        ("0/0", "0/1"),
    ),
    TracedFile(CELL, ("net",), 0, None, ("2/0",)),
    TracedFile(f"/tmp/{HOSTILE}.py", (HOSTILE,), 1, None, ("3/0",)),
)

_APPLIED = (
    make_applied(
        unmarked=(UnmarkedDim("L['cos']", 1, 5, "L['x'].size()[0]"),),
        unbacked_dims=("mask: 0 as rows",),
        evaluate_guards=True,
        is_encoder=True,
    ),
    make_applied(module=None, how="ignored", compiles=False, compile_ids=(), marked=()),
    make_applied(
        module=HOSTILE, class_name=f"m.{HOSTILE}", splitting_ops=(HOSTILE_TERMINAL,), dynamic_dims=(HOSTILE,)
    ),
)

_VIOLATIONS = (
    make_violation(count=4),
    make_violation(
        source="",
        expr=HOSTILE,
        expected=None,
        actual=None,
        category="global state",
        location=None,
        action="raised",
    ),
    make_violation(source=f"L[{HOSTILE!r}]", expr=HOSTILE_TERMINAL, actual=HOSTILE, module=HOSTILE),
)

_CAPTURES = (
    make_capture(1, 8, capture_ns=3 * MS),
    make_capture(2, 4),
    make_capture(3, 4, partition=0, mode="PIECEWISE", replay_ns=None, compiled_ns=None, eager_ns=None),
    make_capture(
        4,
        16,
        event="skipped",
        reason=f"the capture failed: RuntimeError: {HOSTILE_TERMINAL}",
        location=SCALE_LINE,
        capture_ns=None,
        kernel_count=None,
        replay_count=0,
        call_count=7,
    ),
    make_capture(
        5,
        None,
        event="bypassed",
        reason="the batch is larger than the largest captured size, 8",
        call_count=2,
    ),
    make_capture(
        6, None, source="cudagraph_trees", key="(4, 7)", mode="INFERENCE", event="re-recorded", parent=1
    ),
)
_PARTITIONS = (
    make_partition(0, remarks=("mylib::attn matches no operator of the graph; there is mylib::attention",)),
    make_partition(
        1,
        kind="splitting",
        nodes=("h_2",),
        split_op="mylib::attention",
        reason="mylib::attention is a splitting op",
        capturable=False,
    ),
    make_partition(
        0,
        by="inductor",
        name="partition_0",
        nodes=("view", "mul"),
        reason=f"cpu ops {HOSTILE_TERMINAL}",
        capturable=False,
        kernels=("op0",),
        module=HOSTILE,
    ),
)

_RANGES = (
    make_range(),
    make_range(start=17, end=8192, outcome="reused", reused_from=0, elapsed_ns=90_000),
    make_range(start=8, end=8, exact=True, module=HOSTILE),
    make_range(end=None, problems=("the endpoint 9000 lies outside 1 to 8192",), symbol=None),
)

_KERNELS = (
    Kernel(
        "0/1",
        "triton_poi_fused_mul_0",
        "triton",
        hold(TRITON_SOURCE),
        ("mul", "view"),
        ("h_2", "h"),
        "inference",
        2,
    ),
    Kernel("0/1", "extern_kernels.mm", "extern", None, None),
    Kernel("0/2", "cpp_fused_relu_0", "cpp", hold(f"// {HOSTILE}\nextern 'C' void kernel() {{}}\n"), None),
)

_OUTPUT_CODE = (
    OutputCode(
        "0/1", "inference", "/tmp/torchinductor_ada/ab/cabc.py", hold("import torch\n\ndef call(args): ...\n")
    ),
)

_ARTIFACTS = (
    Artifact(
        "25f7d5bf88318c44", "m.Model", "model", "inductor", 66_372, 1.76e9, 1.77e9, 3, 2_400_000_000, 4, None
    ),
    Artifact(
        "96d29e8348c58770", None, None, None, 12, None, 1.75e9, 0, None, None, "Compile cache file corrupted."
    ),
)
_CACHES = (
    CacheLookup(
        "0/0",
        "fx_graph",
        "miss",
        "fq3kz",
        (KeyComponent("gm", "aaaa"), KeyComponent("inductor_config", "bbbb")),
        (),
        None,
    ),
    CacheLookup(
        "0/1",
        "fx_graph",
        "miss",
        "fw7ab",
        (KeyComponent("gm", "cccc"), KeyComponent("inductor_config", "bbbb")),
        (
            KeyDifference(component="gm", was="aaaa", now="cccc"),
            KeyDifference(component="fx_kwargs", was=None, now="dddd"),
        ),
        None,
    ),
    CacheLookup("0/2", "fx_graph", "hit", "fw7ab", (), (), None),
    CacheLookup("0/2", "aot_autograd", "bypass", None, (), (), f"cannot pickle {HOSTILE}"),
)

_LOSSES = (
    Loss(where="trace.log:88", what="the line is not JSON", count=1),
    Loss(where="guard_stacks", what=f"RuntimeError: {HOSTILE_TERMINAL}", count=3),
)
