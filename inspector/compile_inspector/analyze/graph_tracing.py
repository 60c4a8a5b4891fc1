"""What each lowered node was made of where no recording says so: traced along the values, as the compiler traced the program.

A lowered node continues the operation that made what it reads, or begins one that reads that operation's result. Which of them is told by
the user's line, by what the operation may be lowered to, and by what else is read. A gradient goes the other way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from compile_inspector.analyze.op_families import family_of
from compile_inspector.model.nodes import GraphNode

Nodes = Sequence[GraphNode]
Wires = Sequence[Sequence[int]]

_QUIET = ("placeholder", "get_attr", "output")
_SOFTMAX = {
    "softmax",
    "amax",
    "sub",
    "exp",
    "sum",
    "div",
    "mul",
    "convert",
    "prepare_softmax_online",
    "getitem",
}
_PARTS: Mapping[str, frozenset[str]] = {
    name: frozenset(parts)
    for name, parts in {
        "mm": {"mm", "view", "transpose", "expand", "clone", "add", "unsqueeze", "squeeze", "sum", "slice"},
        "gelu": {"gelu", "mul", "erf", "tanh", "add", "pow", "convert", "exp", "sub"},
        "silu": {"silu", "sigmoid", "neg", "exp", "add", "div", "mul", "convert", "sub", "full"},
        "softmax": _SOFTMAX,
        "log_softmax": {*_SOFTMAX, "log_softmax", "log"},
        "nll_loss": {
            *_SOFTMAX, "nll_loss", "log_softmax", "log", "ne", "where", "gather", "unsqueeze", "squeeze", "neg", "full", "scalar_tensor",
            "scatter", "iota", "expand", "eq", "view", "logsumexp",
        },
        "norm": {
            "norm", "var_mean", "getitem", "sub", "add", "rsqrt", "mul", "convert", "mean", "pow", "squeeze", "unsqueeze", "sqrt", "sum", "div",
            "reciprocal", "copy", "var", "expand", "view", "full",
        },
        "dropout": {"dropout", "rand", "inductor_random", "inductor_lookup_seed", "gt", "lt", "mul", "div", "convert", "bernoulli"},
        "attention": {*_SOFTMAX, "attention", "mm", "view", "expand", "transpose", "clone", "full", "where", "add", "scalar_tensor"},
        "convolution": {"convolution", "unsqueeze", "squeeze", "add", "convolution_backward", "getitem", "sum", "view"},
        "max_pool2d_with_indices": {"max_pool2d_with_indices", "getitem", "_low_memory_max_pool_with_offsets",
            "_low_memory_max_pool_offsets_to_indices", "max_pool2d_with_indices_backward", "full", "scatter_add", "view", "index_put"},
        "embedding": {"embedding", "embedding_dense_backward", "eq", "unsqueeze", "where", "full", "index_put", "_unsafe_masked_index_put_accumulate", "lt", "ge", "scalar_tensor"},
        "mean": {"mean", "sum", "div", "expand", "unsqueeze", "view", "convert", "squeeze"},
        "chunk": {"chunk", "split", "getitem", "slice", "cat"},
        "split": {"split", "getitem", "slice", "cat"},
        "unbind": {"unbind", "getitem", "select", "stack", "cat"},
        "relu": {"relu", "le", "where", "full", "scalar_tensor", "alias", "detach"},
        "div": {"div", "reciprocal", "mul"},
        "arange": {"arange", "iota", "mul", "add", "convert"},
    }.items()
}  # fmt: skip
"""What operations of a family are lowered to, forward and backward, by family."""
_ALONE = frozenset(
    ("add", "sub", "mul", "div", "neg", "pow", "rsqrt", "sqrt", "cos", "sin", "cat", "view", "transpose", "expand", "clone", "exp", "log", "tanh",
    "sigmoid", "convert", "unsqueeze", "squeeze", "slice", "select", "where")
)  # fmt: skip
"""Families that become one node of their own, forward."""
_GRADIENTS: Mapping[str, frozenset[str]] = {
    name: frozenset(parts)
    for name, parts in {
        "add": {"sum", "view", "squeeze", "add"},
        "sub": {"sum", "view", "squeeze", "neg"},
        "mul": {"mul", "sum", "view", "squeeze", "expand"},
        "div": {"div", "mul", "neg", "sum", "view", "squeeze"},
        "neg": {"neg"},
        "pow": {"pow", "mul", "expand"},
        "rsqrt": {"pow", "mul", "detach", "alias"},
        "sqrt": {"mul", "div", "detach", "alias"},
        "exp": {"mul", "detach", "alias"},
        "cos": {"sin", "neg", "mul"},
        "sin": {"cos", "mul"},
        "sigmoid": {"sigmoid", "mul", "sub", "detach", "alias"},
        "tanh": {"tanh", "mul", "sub", "detach", "alias"},
        "cat": {"slice", "getitem", "split"},
        "view": {"view", "clone"},
        "transpose": {"transpose"},
        "softmax": {"softmax", "mul", "sum", "sub", "neg", "fma", "detach", "alias"},
        "expand": {"sum", "expand"},
        "slice": {"slice", "full", "slice_scatter", "slice_backward", "constant_pad_nd"},
        "select": {"select", "full", "select_scatter", "select_backward"},
    }.items()
}
"""What the gradient of an operation is computed by, where that is not what the operation itself is lowered to."""
_MAY_VANISH = frozenset(
    ("clone", "convert", "dropout", "view", "expand", "detach", "getitem", "alias", "to", "flatten")
)
"""Families of which nothing may be left: what reads them reads what they read."""
_PASSED_ON = _MAY_VANISH | {"add"}
"""Families through which a gradient may go as it is."""
_LEAST = 1
_SEEN = 12
"""How many values are seen through one node, the nearest first."""
_MANY = 200
"""Where more operations than this come into question along the values, or on a line, these say too little."""
_CARRIED = 6
"""Of how many operations a value is taken to be a result, where it is not known of which."""


class _Values:
    """How values go between the program's nodes; what may leave nothing behind lets the next one be seen through it."""

    def __init__(self, nodes: Nodes, family: Sequence[str], clear: frozenset[str]) -> None:
        at = {node.name: index for index, node in enumerate(nodes)}
        self.inputs: list[set[int]] = []
        for node in nodes:
            reads = {at[name] for name in node.inputs if name in at}
            for one in tuple(reads):
                if one < len(self.inputs) and nodes[one].op not in _QUIET and family[one] in clear:
                    reads.update(sorted(self.inputs[one], reverse=True)[:_SEEN])
            self.inputs.append(reads)
        self.users: list[set[int]] = [set() for _ in nodes]
        for index, reads in enumerate(self.inputs):
            for one in reads:
                self.users[one].add(index)


class _Program:
    """The program's nodes, their families, and how values and gradients go between them."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.family = [family_of(node.target) for node in nodes]
        at = {node.name: index for index, node in enumerate(nodes)}
        self.read = [[at[name] for name in node.inputs if name in at] for node in nodes]
        self.values = _Values(nodes, self.family, _MAY_VANISH)
        self.gradients = _Values(nodes, self.family, _PASSED_ON)


def traced_pairs(
    program: Nodes, lowered: Nodes, given: Mapping[int, int], backward: Sequence[int]
) -> dict[int, int]:
    """By lowered node: the program's node that it was made of; without those that nothing speaks for.

    Args:
        program: Dynamo's graph.
        lowered: The later one.
        given: By lowered node: the program's node, of inputs.
        backward: By lowered node: whether it computes a gradient.
    """
    return _Trace(program, lowered, given, backward).run()


class _Trace:
    def __init__(
        self, program: Nodes, lowered: Nodes, given: Mapping[int, int], backward: Sequence[int]
    ) -> None:
        self.program, self.lowered, self.backward = _Program(program), lowered, backward
        at = {node.name: index for index, node in enumerate(lowered)}
        self.reads = [[at[name] for name in node.inputs if name in at] for node in lowered]
        self.lines: dict[tuple[str, int], set[int]] = {}
        for index, node in enumerate(program):
            if node.location is not None and node.op not in _QUIET:
                self.lines.setdefault((node.location.file, node.location.line), set()).add(index)
        self.family = [family_of(node.target) for node in lowered]
        self.trains = any(backward)
        self.owner: dict[int, int] = {}
        self.results: dict[int, tuple[int, ...]] = {low: (high,) for low, high in given.items()}
        self.begun: tuple[set[int], set[int]] = (set(), set())
        self.whole: set[int] = set()

    def run(self) -> dict[int, int]:
        """Goes along the lowered nodes, which stand after what they read."""
        for index, node in enumerate(self.lowered):
            if node.op in _QUIET:
                continue
            place = node.location
            line = None if place is None else self.lines.get((place.file, place.line))
            found = self._best(index, line) if line else None
            if found is None:
                self._carry(index)
                continue
            self.owner[index] = found
            self.results[index] = (found,)
            self.begun[bool(self.backward[index])].add(found)
            if self._is_result(index, found):
                self.whole.add(index)
        return self.owner

    def _carry(self, index: int) -> None:
        """What a node is a result of that is no operation's own: a sum of gradients."""
        turned = self.backward[index]
        of = [
            one
            for read in self.reads[index]
            if self.backward[read] == turned
            for one in self.results.get(read, ())
        ]
        if of:
            self.results[index] = tuple(dict.fromkeys(of))[:_CARRIED]

    def _best(self, index: int, line: Set[int]) -> int | None:
        """The program's node on a line that most speaks for; None for a sum of several gradients, which is no operation's own."""
        turned = bool(self.backward[index])
        along: list[tuple[int, ...]] = []
        beside: list[tuple[int, ...]] = []
        for read in self.reads[index]:
            if read in self.results:
                (along if bool(self.backward[read]) == turned else beside).append(self.results[read])
        ways = self.program.gradients if turned else self.program.values
        after, before = (ways.inputs, ways.users) if turned else (ways.users, ways.inputs)
        if turned and self.family[index] == "add" and len(set(along)) > 1:
            return None
        if any(len(after[one]) > _MANY for of in along for one in of):
            return None
        near = {one for of in along for one in of}
        near |= {one for of in along for other in of for one in after[other]}
        if len(near) > _MANY or (not near and len(line) > _MANY):
            return None
        continued = {of[0] for of in along if len(of) == 1}
        done = {self.owner[read] for read in self.reads[index] if read in self.owner and read in self.whole}
        best: tuple[float, int] | None = None
        for one in (near & line) if near else line:
            score = sum(3.0 if one in of or not before[one].isdisjoint(of) else -5.0 for of in along)
            score += sum(1.0 if one in of or not ways.inputs[one].isdisjoint(of) else -1.0 for of in beside)
            score += self._kinship(index, one, begun=one in continued, done=one in done)
            if one not in continued and one in self.begun[turned]:
                score -= 1
            rank = (score, one if turned else -one)
            if best is None or rank > best:
                best = rank
        return None if best is None or best[0] < _LEAST else abs(best[1])

    def _kinship(self, index: int, one: int, *, begun: bool, done: bool) -> float:
        """How well a lowered node's operation is one that a node of the program, or its gradient, is computed by."""
        of, family = self.program.family[one], self.family[index]
        turned = bool(self.backward[index])
        if turned:
            family = family_of(f"torch.{family.removesuffix('_data').removesuffix('_backward')}")
        parts = _PARTS.get(of)
        gradients = _GRADIENTS.get(of) if self.trains else None
        score = 0.0
        if of == family:
            score += 3
        elif turned and gradients is not None:
            score += 2 if family in gradients else -4
        elif parts is not None:
            score += 2 if family in parts else -4
        elif gradients is not None and begun and family in gradients:
            score += 1
        elif of in _ALONE and not turned:
            score -= 4
        if (begun and not turned and of in _ALONE and of == family) or (
            begun and done and (of == "mm" or of in _ALONE)
        ):
            score -= 3
        elif begun and not done and parts is not None and family in parts:
            score += 1.2
        return score + (0.5 if self._is_result(index, one) else 0.0)

    def _is_result(self, index: int, one: int) -> bool:
        """Whether a lowered node has the type of an operation's result; of a gradient: that of one of its inputs."""
        node = self.lowered[index]
        of = self.program.read[one] if self.backward[index] else (one,)
        return any(
            (made.shape, made.dtype) == (node.shape, node.dtype)
            for made in map(self.program.nodes.__getitem__, of)
        )
