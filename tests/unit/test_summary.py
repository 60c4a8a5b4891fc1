"""The story of a recording: headline, facts, sentences."""

from __future__ import annotations

from itertools import pairwise

import pytest

from compile_inspector.model.applied import UnmarkedDim
from compile_inspector.model.caches import CacheLookup
from compile_inspector.model.compiles import Frame
from compile_inspector.model.environment import ConfigPatch, Environment
from compile_inspector.model.kernels import Kernel
from compile_inspector.model.recompiles import Recompile
from compile_inspector.model.records import Loss
from compile_inspector.views.story import cache_counts, cause, guard_counts, kernel_counts, newest_dims
from compile_inspector.views.summary import not_recorded, summarise
from factory import (
    CALL_LINE,
    FORWARD,
    MS,
    make_applied,
    make_break,
    make_compile,
    make_dim,
    make_entry,
    make_failing,
    make_graph,
    make_guard,
    make_partition,
    make_range,
    make_tables,
    make_violation,
    quiet_tables,
    sample_tables,
)


def test_the_headline_counts_everything() -> None:
    """The headline has compiles, functions, time, recompiles, breaks, violations, failures and losses; not what was compiled before."""
    expected = (
        "5 compiles of 3 functions in 1.23 s, 3 recompiles, 2 graph breaks, 6 violations, 1 failed, 4 losses"
    )
    assert expected == summarise(sample_tables()).headline


def test_the_headline_of_a_quiet_recording_names_no_losses() -> None:
    """Where nothing went wrong, the headline says so and is short."""
    assert (
        summarise(quiet_tables()).headline
        == "1 compile of 1 function in 412 ms, no recompiles, no graph breaks"
    )


def test_a_recording_of_nothing_says_so() -> None:
    """Without a compile the headline and the story say that nothing was compiled, and what may be why."""
    summary = summarise(make_tables())
    assert summary.headline == "Nothing was compiled while this was recorded"
    assert "torch.compiler.reset()" in summary.sentences[0].text


def test_losses_without_a_compile_are_not_hidden() -> None:
    """A log of which nothing could be read is not the same as a recording of nothing."""
    summary = summarise(make_tables(losses=[Loss(where="a.log:1", what="not JSON", count=2)]))
    assert summary.headline == "no compiles, no recompiles, no graph breaks, 2 losses"


def test_unknown_times_are_not_counted_as_zero() -> None:
    """Where no compile's time is known, the headline names no time."""
    assert (
        "1 compile of 1 function, no"
        in summarise(make_tables(compiles=[make_compile(elapsed_ns=None)])).headline
    )


def test_an_absent_table_is_not_said_to_be_empty() -> None:
    """Where recompiles were not recorded, the headline does not claim that there were none."""
    headline = summarise(make_tables(compiles=[make_compile()], recompiles=None)).headline
    assert "recompiles not recorded" in headline
    assert "no recompiles" not in headline


def test_facts_name_their_tables_and_tones() -> None:
    """A count that should be zero is good when it is, and warns when it is not."""
    loud = {fact.key: (fact.value, fact.tone, fact.table) for fact in summarise(sample_tables()).facts}
    quiet = {fact.key: (fact.value, fact.tone, fact.table) for fact in summarise(quiet_tables()).facts}
    assert loud["recompiles"] == ("3", "warn", "recompiles")
    assert loud["failed"] == ("1", "bad", "compiles")
    assert loud["losses"] == ("4", "bad", "losses")
    assert quiet["recompiles"] == ("0", "good", "recompiles")
    assert "failed" not in quiet


def test_a_recompile_is_told_with_its_cause_and_line() -> None:
    """A recompile's sentence has the call, the nearest entry, the change and the line that made the guard."""
    told = [
        sentence.text for sentence in summarise(sample_tables()).sentences if sentence.table == "recompiles"
    ]
    assert (
        told[1] == "0/1, called from train.py:17, does not fit 0/0: L['x'].size()[0]: 4 -> 5 (model.py:34)."
    )


def test_a_recompile_without_entries_says_what_is_unknown() -> None:
    """Where no earlier entry was recorded, the sentence says that the guards are unknown."""
    summary = summarise(make_tables(compiles=[make_compile("0/1")], recompiles=[Recompile("0/1", None, ())]))
    assert "0/1 is a recompile; which guards failed is not recorded." in {s.text for s in summary.sentences}


def test_a_cause_names_three_guards_and_counts_the_rest() -> None:
    """Many failing guards are cut after three, with the number of the others."""
    entry = make_entry(
        "0/0", *(make_failing(f"L['x{index}']", "1", "2", location=None) for index in range(5))
    )
    assert cause(entry) == "L['x0']: 1 -> 2; L['x1']: 1 -> 2; L['x2']: 1 -> 2; 2 more"


def test_a_cause_without_guards_has_torchs_words() -> None:
    """Where no failing guard is known, torch's reason stands for it, or a plain statement that there is none."""
    assert cause(make_entry("0/0", torch_reason="backend changed")) == "backend changed"
    assert cause(make_entry("0/0")) == "the failing guard is not recorded"


def test_many_sentences_of_one_kind_are_cut_with_a_count() -> None:
    """Twenty graph breaks are told as three and a count of seventeen."""
    breaks = [make_break(reason=f"reason {index}") for index in range(20)]
    told = [s.text for s in summarise(make_tables(compiles=[make_compile()], graph_breaks=breaks)).sentences]
    assert sum("A graph ends" in text for text in told) == 3
    assert "… and 17 more under Graph breaks." in told


def test_functions_are_told_in_the_order_they_were_compiled_in() -> None:
    """The function that was compiled first comes first, its compiles together."""
    slow = make_compile("1/0", frame=Frame(function="slow", location=FORWARD), elapsed_ns=900 * MS)
    told = [
        s.text for s in summarise(make_tables(compiles=[make_compile(), make_compile("0/1"), slow])).sentences
    ]
    assert told[:2] == [
        "forward (model.py:31) was compiled twice, in 824 ms.",
        "slow (model.py:31) was compiled once, in 900 ms.",
    ]


def test_failed_and_skipped_compiles_are_not_told_as_compiled() -> None:
    """Only what gave code counts as compiled in the story."""
    compiles = [make_compile(status="failed"), make_compile("1/0", status="skipped")]
    told = [s.text for s in summarise(make_tables(compiles=compiles)).sentences]
    assert told == ["0/0 failed: no reason recorded"]


def test_newest_dims_are_those_of_the_newest_compile() -> None:
    """A dimension that became dynamic in a recompile counts as dynamic, whatever the order of rows; parameters are left out."""
    dims = [
        make_dim(compile_id="0/1", verdict="dynamic", symbol="s1"),
        make_dim(compile_id="0/0"),
        make_dim("L['self'].w", compile_id="0/1", is_parameter=True),
    ]
    tables = make_tables(compiles=[make_compile("0/0"), make_compile("0/1")], dims=dims)
    assert (dims[0],) == newest_dims(tables)


def test_newest_dims_keep_functions_apart_and_put_static_last() -> None:
    """Inputs of one name in two functions are two inputs; what is not static comes first."""
    other = make_compile("1/0", frame=Frame(function="other", location=CALL_LINE))
    dims = [make_dim(), make_dim(compile_id="1/0", verdict="marked")]
    tables = make_tables(compiles=[make_compile(), other], dims=dims)
    assert (dims[1], dims[0]) == newest_dims(tables)


def test_what_is_not_recorded_has_reasons_and_seams_come_first() -> None:
    """A seam that torch could not serve stands before the tables that this recording cannot have."""
    tables = make_tables(
        environment=sample_tables().environment, captures=None, absent={"captures": "nobody looked"}
    )
    absences = not_recorded(tables)
    assert absences[0].name == "Traced files"
    assert "inline_call_ is not there" in absences[0].reason
    assert "nobody looked" in {absence.reason for absence in absences}


def test_the_environment_lists_only_what_is_known() -> None:
    """Versions that the record does not have are left out; settings show their defaults."""
    patch = ConfigPatch(module="torch._dynamo.config", name="dynamic", value="True", default=None)
    environment = Environment(torch="2.13.0", packages=(("triton", "3.5"),), config=(patch,), ranks=(0, 1))
    summary = summarise(make_tables(environment=environment))
    expected = (
        ("torch", "2.13.0"),
        ("triton", "3.5"),
        ("ranks", "0, 1"),
        ("torch._dynamo.config.dynamic", "True"),
    )
    assert expected == summary.environment


def test_counts_of_caches_guards_and_kernels() -> None:
    """Caches count outcomes, guards their most frequent kinds, kernels their languages."""
    lookups = [
        CacheLookup("0/0", "fx_graph", outcome, None, (), (), None) for outcome in ("miss", "hit", "miss")
    ]  # type: ignore[arg-type]
    assert cache_counts(lookups) == "fx_graph: 1 hit, 2 misses"
    guards = [make_guard(kind=kind) for kind in "AABCDEF"]
    assert guard_counts(guards[:5], most=2) == "2 A, 1 B, 2 other kinds"
    assert guard_counts(guards[:3]) == "2 A, 1 B"
    assert (
        kernel_counts([Kernel("0/0", "a", "triton", None, None), Kernel("0/0", "b", "cpp", None, None)])
        == "1 triton, 1 cpp"
    )


def test_a_summary_parses_no_graph() -> None:
    """The summary reads no graph's text."""
    tables = make_tables(compiles=[make_compile()], graphs=[make_graph()])
    summarise(tables)
    assert "_parsed" not in vars(tables.graphs[0])


@pytest.mark.parametrize("tables", [sample_tables(), quiet_tables(), make_tables()])
def test_all_text_is_visible_and_on_one_line(tables: object) -> None:
    """No sentence of any summary holds a control character or a line break."""
    summary = summarise(tables)  # type: ignore[arg-type]
    for text in (summary.headline, *(s.text for s in summary.sentences), *(f.value for f in summary.facts)):
        assert text.isprintable()


def test_tables_follow_the_order_of_the_story() -> None:
    """Sentences come grouped: compiles, failures, recompiles, breaks, what the decorator did, dims, caches, losses."""
    tables = [sentence.table for sentence in summarise(sample_tables()).sentences]
    changes = [first for first, second in pairwise([*tables, None]) if first != second]
    decorated = ["applied", "violations", "guards", "partitions", "ranges", "captures"]
    others = ["dims", "caches", "compiles", "losses"]
    assert changes == ["compiles", "recompiles", "graph_breaks", *decorated, *others]


def test_what_the_decorator_did_is_told() -> None:
    """Modules, inputs that should have been marked, violations, guards that nobody checks, splits with their remarks, and sizes."""
    told = {
        sentence.text: (sentence.tone, sentence.table)
        for sentence in summarise(
            make_tables(
                compiles=[make_compile("0/1")],
                applied=[make_applied(unmarked=(UnmarkedDim("L['cos']", 1, 5, "L['x'].size()[0]"),))],
                violations=[make_violation(count=2), make_violation(action="raised", actual=None)],
                guards=[make_guard(dropped=True), make_guard(dropped=True, checked_by="decorator")],
                partitions=[
                    make_partition(0, remarks=("mylib::attn matches no operator of the graph",)),
                    make_partition(1, kind="splitting", split_op="mylib::attention"),
                    make_partition(0, by="inductor"),
                ],
                ranges=[make_range(), make_range(outcome="reused", call_count=4, problems=("no size",))],
            )
        ).sentences
    }
    assert (
        told.items()
        >= {
            "model.layers.0 (Block) was applied: PIECEWISE_COMPILE with inductor, dynamic x: 0, 1; compiled once.": (
                "plain",
                "applied",
            ),
            "model.layers.0 (Block): inputs of a dynamic size that were not marked themselves: "
            "L['cos'] dim 1 = 5, like L['x'].size()[0].": ("warn", "applied"),
            "L['x'].size()[0] was 3, and 0/1 wants 4 <= L['x'].size()[0] (model.py:38): the call recompiled (2 times).": (
                "warn",
                "violations",
            ),
            "L['x'].size()[0] did not fit, and 0/1 wants 4 <= L['x'].size()[0] (model.py:38): the call raised.": (
                "bad",
                "violations",
            ),
            "1 guard is dropped and checked by nobody.": ("warn", "guards"),
            "The piecewise backend split the graph of 0/1 into 2 pieces, 1 of them split off at mylib::attention.": (
                "plain",
                "partitions",
            ),
            "0/1: mylib::attn matches no operator of the graph.": ("warn", "partitions"),
            "Pieces by size: 1 compiled, 1 reused, run 7 times.": ("plain", "ranges"),
            "No size.": ("warn", "ranges"),
        }.items()
    )


def test_modules_that_do_not_compile_are_told_apart() -> None:
    """An ignored module, one whose mode leaves it as it is, and one that was not called yet are each said to be so."""
    rows = [
        make_applied(how="ignored", compiles=False),
        make_applied(module=None, compiles=False, mode="NONE"),
        make_applied(compile_ids=()),
    ]
    told = [sentence.text for sentence in summarise(make_tables(applied=rows)).sentences]
    assert told[1:] == [
        "model.layers.0 (Block) is ignored: it runs as it is.",
        "Block was applied and runs as it is (NONE).",
        "model.layers.0 (Block) was applied: PIECEWISE_COMPILE with inductor, dynamic x: 0, 1; not called yet.",
    ]
