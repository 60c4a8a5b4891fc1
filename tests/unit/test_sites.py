"""The user's call, read: which expression is passed for what, and fixes written around it."""

from __future__ import annotations

import pytest

from compile_inspector.analyze.findings.sites import Site
from compile_inspector.model.compiles import Call
from compile_inspector.model.locations import Location

X, Y, REST = "L['x']", "L['y']", "L['xs'][1]"


def site(text: str, *parameters: str, code: str | None = None, module: bool = False) -> Site:
    return Site(Location("/p/main.py", 7, "main", code or text), Call(text, parameters, module))


def wrapping(text: str) -> Site:
    """A call of a module that torch compiled a function of its own around."""
    return Site(Location("/p/main.py", 7, "main", text), Call(text, ("*args",), module=True), wraps=True)


def marked(found: Site, source: str) -> tuple[str, str]:
    return found.with_names([source], lambda names: [f"mark({names[source]})"])


@pytest.mark.parametrize(
    ("found", "source", "name"),
    [
        (site("g(batch, 2)", "x", "y"), X, "batch"),
        (site("g(y=batch, x=2)", "x", "y"), Y, "batch"),
        (site("g(a, b, c)", "x", "*xs"), REST, "c"),
        (site("g(batch)", "x"), "L['x']['ids'][0]", "batch['ids'][0]"),
        (site("net(batch)", "self", "x", module=True), X, "batch"),
        (site("net(batch)", "self", "x", module=True), "L['self']._modules['a']._modules['0'].w", "net.a[0].w"),
        (site("opt.step()", "self"), "L['self'].lr", "opt.lr"),
        (site("h(batch)", "self", "x"), "L['self'].lr", "self.lr"),
        (site("g(*parts)", "x", "y"), Y, "parts[1]"),
        (site("g(**parts)", "x", "y"), Y, "parts['y']"),
        (site("g(a, **parts)", "x", "y"), X, "a"),
        (site("net(**batch)", "*args", module=True), "L['kwargs']['ids']", "batch['ids']"),
        (site("g(batch)", "x"), "G['RATE']", "RATE"),
        (site("seq(batch)", "*args", module=True), "L['args'][0]", "batch"),
        (site("seq(mask=batch)", "*args", module=True), "L['kwargs']['mask']", "batch"),
        (site("net(batch)", "self", "x", module=True), "L['self']._modules['0'].w", "net.get_submodule('0').w"),
        (wrapping("net(batch)"), "L['fn']._modules['0']._parameters['bias']", "net.get_submodule('0').bias"),
        (Site(None), X, "x"),
        (site("g(", "x"), X, "x"),
    ],
)  # fmt: skip
def test_the_callers_own_name_is_found(found: Site, source: str, name: str) -> None:
    """An argument goes by the caller's name, by position or by keyword; by the function's own where the caller's is not known."""
    assert found.name(source) == name


def test_a_name_is_marked_before_the_call() -> None:
    """Where the caller has a name, the line goes before the call."""
    assert marked(site("g(batch)", "x"), X) == ("mark(batch)", "before the call at main.py:7")


def test_an_expression_gets_a_name_and_the_line_is_written_anew() -> None:
    """The argument is bound to the parameter's name, or to one that the call does not use, and the whole line is there to paste."""
    found = site("g(ones(n, 4), 2)", "x", "y", code="out = g(ones(n, 4), 2).sum()  # slow")
    assert marked(found, X) == (
        "x = ones(n, 4)\nmark(x)\nout = g(x, 2).sum()",
        "in the place of the call at main.py:7",
    )
    assert marked(site("g(x.t())", "x"), X).code == "x_ = x.t()\nmark(x_)\ng(x_)"


def test_equal_expressions_are_two_arguments() -> None:
    """Two arguments written alike get a name each."""
    found = site("g(ones(3), ones(3))", "x", "y")
    pasted = found.with_names([X, Y], lambda names: [f"mark({names[X]}, {names[Y]})"])
    assert pasted.code == "x = ones(3)\ny = ones(3)\nmark(x, y)\ng(x, y)"


@pytest.mark.parametrize(
    "code", ["for n in (2, 3): g(ones(n))", "out = [g(ones(n)) for n in sizes]", "f = lambda n: g(ones(n))"]
)
def test_what_the_line_itself_binds_is_not_moved_before_it(code: str) -> None:
    """In a one-line loop, a comprehension or a lambda nothing can be bound before the line."""
    assert marked(site("g(ones(n))", "x", code=code), X) == ("mark(x)", "before the call at main.py:7")


def test_an_argument_is_changed_within_the_call() -> None:
    """An expression is wrapped where it stands, with brackets where it needs them; a name is changed before the call."""
    assert site("g(a + b, n)", "x", "y").wrapped({X: "{}.contiguous()"}).code == "g((a + b).contiguous(), n)"
    assert site("g(1.5)", "x").wrapped({X: "torch.tensor({})"}).code == "g(torch.tensor(1.5))"
    assert site("g(a, b)", "x", "y").wrapped({X: "{}.t()"}) == ("a = a.t()", "before the call at main.py:7")
    assert site("g(a, a)", "x", "y").wrapped({Y: "{}.clone()"}, within=True).code == "g(a, a.clone())"


def test_a_call_of_several_lines_is_written_anew() -> None:
    """Positions are kept over lines and in texts that are not ASCII; what the line does not hold is given alone."""
    found = site('g("ü",\n  ones(3),\n  k=1)', "name", "x", code='g("ü",')
    assert found.wrapped({X: "{}.t()"}).code == 'g("ü",\n  ones(3).t(),\n  k=1)'


def test_what_torch_wraps_is_called_an_argument() -> None:
    """Of code that torch wraps in a function of its own, a source is told as an argument of the user's call."""
    found = site("seq(ones(3))", "*args", code="for n in (2, 3): seq(ones(3))", module=True)
    assert found.words("L['args'][0].size()[1]") == "dimension 1 of the first argument of seq"
    assert found.words("L['args'][1]") == "the second argument of seq"
    assert found.words("L['x']") == "L['x']"
    assert marked(found, "L['args'][0]") == (
        "mark(x)",
        "before the call at main.py:7, where x is the first argument of seq",
    )


def test_a_method_in_a_wrapper_counts_without_its_object() -> None:
    """A decorator's ``wrapper(*args)`` around a method takes the object first: the user passed one argument less."""
    call = Call("net(ones(3), b)", ("*args",), module=True, bound=True)
    found = Site(Location("/p/main.py", 7, "main", "y = net(ones(3), b)"), call)
    assert found.words("L['args'][1].size()[0]") == "dimension 0 of the first argument of net"
    assert found.words("L['args'][0].config") == "config of net"
    assert found.name("L['args'][0].config") == "net.config"
    assert found.name("L['args'][2]") == "b"
    assert marked(found, "L['args'][1]").code == "x = ones(3)\nmark(x)\ny = net(x, b)"


@pytest.mark.parametrize("text", ["g(" * 200, "\0", "g(x) +", "def f(): pass", "(" * 5000 + ")" * 5000, ""])
def test_a_text_that_cannot_be_read_names_nothing(text: str) -> None:
    """Whatever a log holds for a call, the function's own names remain."""
    assert marked(site(text, "x", code="g(x)"), X) == ("mark(x)", "before the call at main.py:7")


def test_a_field_of_an_argument_without_a_name_is_changed_under_one() -> None:
    """Where an expression is passed, it gets a name before its field is changed, and the call passes that."""
    pasted = site("g(x, Options(rate, 2))", "x", "options").wrapped({"L['options'].rate": "torch.tensor({})"})
    assert pasted.code.splitlines() == [
        "options = Options(rate, 2)",
        "options.rate = torch.tensor(options.rate)",
        "g(x, options)",
    ]
    assert pasted.where == "in the place of the call at main.py:7"


def test_what_a_module_holds_has_no_name_before_the_call() -> None:
    """A cache that the module fills is not there before the first call, and holds another tensor after it: no line can mark it."""
    found = site("net(batch)", "self", "x", module=True)
    assert not found.can_name("L['self'].cache['k']")
    assert found.can_name("L['x']")


def test_behind_a_graph_break_the_outer_call_is_changed() -> None:
    """What the outer call passes is changed there; what the program makes in between has no place before a call."""
    inner = Site(Location("/p/main.py", 3, "step", "print(x)"), outer=site("g(batch, rate)", "x", "lr"))
    assert inner.passing(["L['lr']"]).name("L['lr']") == "rate"
    assert inner.passing(["grad_mode"]) is inner.outer
    assert inner.passing(["L['loss']"]) is inner
    assert not inner.can_name("L['x']")
    assert inner.words("L['___stack0']") == "what `print(x)` left for the code after it"
