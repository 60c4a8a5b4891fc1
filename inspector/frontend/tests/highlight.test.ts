// Colouring code, and finding kernels in generated code.

import assert from "node:assert/strict";
import { test } from "node:test";
import { GeneratedCode } from "../src/explorer/generated_code.ts";
import { carried, languageOf, tokens, type Language, type State } from "../src/explorer/highlight.ts";

function kinds(line: string, language: Language, state: State = ""): string[] {
  return tokens(line, language, state).tokens.filter(({ kind }) => kind !== "plain").map(({ kind, text }) => `${kind} ${text}`);
}

test("Python's keywords, calls, strings, numbers and comments are told apart", () => {
  assert.deepEqual(kinds("    return torch.mm(x, 'a\\'b', 1e-5) if n else None  # why", "python"), [
    "keyword return",
    "builtin torch",
    "call mm",
    "string 'a\\'b'",
    "number 1e-5",
    "keyword if",
    "keyword else",
    "keyword None",
    "comment # why",
  ]);
  assert.deepEqual(kinds("@triton.jit", "python"), ["decorator @triton.jit"]);
  assert.deepEqual(kinds("x = rf'{a}'", "python"), ["string rf'{a}'"]);
});

test("C++'s types, directives, strings and comments are told apart", () => {
  assert.deepEqual(kinds('extern "C" void kernel(float* p) { auto x = 0x1fL; } // end', "cpp"), [
    "keyword extern",
    'string "C"',
    "type void",
    "call kernel",
    "type float",
    "keyword auto",
    "number 0x1fL",
    "comment // end",
  ]);
  assert.deepEqual(kinds("  #pragma omp for", "cpp"), ["decorator #pragma", "keyword for"]);
});

test("a long string and a block comment go on over lines until they end", () => {
  let state = tokens('x = """first', "python").state;
  assert.equal(state, '"""');
  assert.deepEqual(kinds("not # a comment", "python", state), ["string not # a comment"]);
  state = tokens('last""" + f(1)', "python", state).state;
  assert.equal(state, "");
  assert.equal(tokens("/* one", "cpp").state, "*/");
  assert.deepEqual(kinds("two */ int x;", "cpp", "*/"), ["comment two */", "type int"]);
  assert.equal(tokens('a = "\\""; b = """', "python").state, '"""');
});

test("the text of a line is never changed by its tokens, whatever it holds", () => {
  const odd = ["", "'", '"""', "\\", "'\\", "@", "#", "/*", "*/ /*", "é = \u{1F600} + '\u{1F600}'", "\u202e'x", "x" + "'".repeat(7), "0x", "1..2", "r'''", '"""a"""b"""', "\t\t", "a'b\"c#d/*e"];
  for (const language of ["python", "cpp", "text"] as const)
    for (const state of ["", '"""', "'''", "*/"] as const)
      for (const line of odd) assert.equal(tokens(line, language, state).tokens.map(({ text }) => text).join(""), line);
});

test("the carried state equals the state of the tokens", () => {
  const lines = ['a = """x', "y'''", 'z"""; b = 1', "/* c", "d */ e /* f */", "'/*'", '# """', "r'''", "'''"];
  for (const language of ["python", "cpp"] as const) {
    let state: State = "";
    for (const line of lines) {
      assert.equal(carried(line, language, state), tokens(line, language, state).state);
      state = carried(line, language, state);
    }
  }
});

test("a line of a million characters costs no more than its length, and what it opens is found", () => {
  const long = "(".repeat(1_000_000);
  assert.equal(tokens(`${long}"""`, "python").state, '"""');
  assert.ok(tokens(`${long}`, "python").tokens.length < 10);
  assert.equal(tokens("'".repeat(999_999), "python").tokens.map(({ text }) => text).join("").length, 999_999);
});

test("the language is told by the file, or by how the text begins", () => {
  assert.equal(languageOf("In [3]", ""), "python");
  assert.equal(languageOf("a/b.cpp", ""), "cpp");
  assert.equal(languageOf("triton", ""), "python");
  assert.equal(languageOf("x", '#include "a.h"\n'), "cpp");
  assert.equal(languageOf("x", "words"), "text");
});

const CODE = `
cpp_fused_add_0 = async_compile.cpp_pybinding(['float*'], r'''
#include <x>
extern "C" void kernel(float* p) {}
''')


triton_poi_1 = async_compile.triton('triton_poi_1', '''
@triton.jit
def triton_poi_1(p): pass
''', device_str='cuda')


def call(self, args):
    # Topologically Sorted Source Nodes: [h, linear], Original ATen: [aten.mm]
    # [Provenance debug handles] extern_kernels.mm:2
    extern_kernels.mm(a, b, out=buf4)
    # Topologically Sorted Source Nodes: [linear_1], Original ATen: [aten.mm]
    extern_kernels.mm(c, b, out=buf5)
    cpp_fused_add_0(buf4)
    triton_poi_1.run(buf4, stream=stream0)
    del buf4
`.split("\n");

test("kernels are found where generated code defines and calls them", () => {
  const code = new GeneratedCode(CODE, ["extern_kernels.mm", "cpp_fused_add_0"]);
  assert.deepEqual(code.definitions.map(({ kernel, from, to, language }) => [kernel, from, to, language]), [["cpp_fused_add_0", 1, 4, "cpp"], ["triton_poi_1", 7, 10, "python"]]);
  assert.deepEqual(code.linesOf("cpp_fused_add_0"), [1, 2, 3, 4, 19]);
  assert.deepEqual(code.linesOf("triton_poi_1"), [7, 8, 9, 10, 20]);
  assert.deepEqual(code.linesOf("extern_kernels.mm"), [16, 18]);
  assert.equal(code.kernelAt(3), "cpp_fused_add_0");
  assert.equal(code.kernelAt(14), "extern_kernels.mm");
  assert.equal(code.kernelAt(21), null);
  assert.deepEqual(code.namesAt(14), ["h", "linear"]);
  assert.deepEqual(code.namesAt(18), ["linear_1"]);
  assert.deepEqual(code.namesAt(19), []);
});

test("code that is cut off ends its kernel at its last line", () => {
  const code = new GeneratedCode(CODE.slice(0, 3), []);
  assert.deepEqual(code.linesOf("cpp_fused_add_0"), [1, 2]);
});
