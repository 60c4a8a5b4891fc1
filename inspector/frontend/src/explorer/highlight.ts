// Python (with Triton) and C++ as coloured tokens, a line at a time. Each line costs time linear in its length; what spans lines (a long
// string, a comment) is carried as a state, so that only lines in sight need their tokens.

export type Language = "python" | "cpp" | "text";
export type TokenKind = "plain" | "comment" | "string" | "number" | "keyword" | "builtin" | "call" | "type" | "decorator";

export interface Token {
  kind: TokenKind;
  text: string;
}

/** What a line begins inside of: nothing, a string with this end, a block comment. */
export type State = "" | '"""' | "'''" | "*/";

/** Characters of a line that are told apart; the rest of a longer one stays plain. */
const LONGEST = 4_000;

const words = (text: string): Set<string> => new Set(text.split(" "));
const PYTHON = words("False None True and as assert async await break case class continue def del elif else except finally for from global if import in is lambda match nonlocal not or pass raise return try while with yield");
const PYTHON_BUILTIN = words("self cls int float bool str bytes list tuple dict set frozenset range len print super isinstance type min max sum abs enumerate zip map object device torch tl triton triton_helpers aten prims async_compile");
const CPP = words("alignas auto break case catch class const constexpr continue default delete do else enum explicit extern for friend goto if inline namespace new noexcept operator private protected public return sizeof static struct switch template this throw try typedef typename union using virtual volatile while true false nullptr");
const CPP_TYPE = words("void bool char short int long float double unsigned signed size_t int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t half bfloat16 std at");

/** The language of a text by what its file or its recorder calls it. */
export function languageOf(name: string, text: string): Language {
  if (/^(cpp|c\+\+|cuda|halide)$|\.(cpp|cc|cu|h|hpp)$/.test(name)) return "cpp";
  if (/^(triton|python)$|\.py$|^In \[\d+\]$/.test(name)) return "python";
  if (/^\s*(#include|extern "C"|template\s*<)/m.test(text.slice(0, 4_000))) return "cpp";
  return /^\s*(import |from |def |class |@|async_compile)/m.test(text.slice(0, 20_000)) ? "python" : "text";
}

/** The tokens of a line, and the state that the next line begins in. */
export function tokens(line: string, language: Language, state: State = ""): { tokens: Token[]; state: State } {
  const found: Token[] = [];
  if (language === "text") return { tokens: line === "" ? [] : [{ kind: "plain", text: line }], state: "" };
  const end = Math.min(line.length, LONGEST);
  let at = 0;
  let inside = state;
  while (at < end) {
    if (inside !== "") {
      const stop = closing(line, at, inside);
      push(found, inside === "*/" ? "comment" : "string", line.slice(at, stop < 0 ? line.length : stop));
      if (stop < 0) return { tokens: found, state: inside };
      at = stop;
      inside = "";
      continue;
    }
    const next = language === "python" ? python(line, at) : cpp(line, at);
    push(found, next.kind, line.slice(at, next.end));
    at = next.end;
    inside = next.opens ?? "";
  }
  if (at < line.length) push(found, inside === "" ? "plain" : "string", line.slice(at));
  // A state that a cut line opened or closed beyond the cut is found all the same.
  return { tokens: found, state: line.length > LONGEST ? carried(line.slice(at), language, inside) : inside };
}

/** The state after a line. */
export function carried(line: string, language: Language, state: State): State {
  if (state === "" && !(language === "python" ? /"""|'''/ : /\/\*/).test(line)) return "";
  let at = 0;
  let inside: State = state;
  while (at < line.length) {
    if (inside !== "") {
      const stop = closing(line, at, inside);
      if (stop < 0) return inside;
      at = stop;
      inside = "";
    } else {
      const next = language === "python" ? python(line, at) : cpp(line, at);
      at = next.end;
      inside = next.opens ?? "";
    }
  }
  return inside;
}

interface Next {
  kind: TokenKind;
  end: number;
  opens?: State;
}

function closing(line: string, from: number, state: State): number {
  if (state === "*/") {
    const at = line.indexOf("*/", from);
    return at < 0 ? -1 : at + 2;
  }
  for (let at = line.indexOf(state, from); at >= 0; at = line.indexOf(state, at + 1)) {
    let slashes = 0;
    while (at - slashes > from && line[at - slashes - 1] === "\\") slashes += 1;
    if (slashes % 2 === 0) return at + 3;
  }
  return -1;
}

const SPACE = /\s+/y;
const NAME = /[\p{L}_][\p{L}\p{N}_]*/uy;
const NUMBER = /0[xX][\da-fA-F_']+[uUlL]*|0[bB][01_]+|(?:\d[\d_']*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?[a-zA-Z]*/y;
const PREFIX = /[rRbBuUfFtT]{1,2}(?=["'])/y;
const OTHER = /[^\s\p{L}\p{N}_"'#@/]+/uy;

function match(pattern: RegExp, line: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(line) ? pattern.lastIndex : -1;
}

function python(line: string, at: number): Next {
  const char = line[at] ?? "";
  if (char === "#") return { kind: "comment", end: line.length };
  if (char === "@" && line.slice(0, at).trim() === "") return { kind: "decorator", end: nameEnd(line, at + 1) };
  const prefix = match(PREFIX, line, at);
  const quote = prefix < 0 ? at : prefix;
  const triple = line.slice(quote, quote + 3);
  if (triple === '"""' || triple === "'''") return { kind: "string", end: quote + 3, opens: triple };
  if (line[quote] === '"' || line[quote] === "'") return { kind: "string", end: quoted(line, quote) };
  return common(line, at, PYTHON, PYTHON_BUILTIN, "builtin");
}

function cpp(line: string, at: number): Next {
  const char = line[at] ?? "";
  if (char === "/" && line[at + 1] === "/") return { kind: "comment", end: line.length };
  if (char === "/" && line[at + 1] === "*") return { kind: "comment", end: at + 2, opens: "*/" };
  if (char === "#" && line.slice(0, at).trim() === "") return { kind: "decorator", end: nameEnd(line, at + 1) };
  if (char === '"' || char === "'") return { kind: "string", end: quoted(line, at) };
  return common(line, at, CPP, CPP_TYPE, "type");
}

function common(line: string, at: number, keywords: Set<string>, known: Set<string>, knownKind: TokenKind): Next {
  const space = match(SPACE, line, at);
  if (space > 0) return { kind: "plain", end: space };
  const name = match(NAME, line, at);
  if (name > 0) {
    const word = line.slice(at, name);
    if (keywords.has(word)) return { kind: "keyword", end: name };
    if (known.has(word)) return { kind: knownKind, end: name };
    return { kind: line[name] === "(" ? "call" : "plain", end: name };
  }
  const number = match(NUMBER, line, at);
  if (number > 0) return { kind: "number", end: number };
  const other = match(OTHER, line, at);
  return { kind: "plain", end: other > 0 ? other : at + ((line.codePointAt(at) ?? 0) > 0xffff ? 2 : 1) };
}

function nameEnd(line: string, at: number): number {
  let end = at;
  while (end < line.length && /[\w.]/.test(line[end] ?? "")) end += 1;
  return end;
}

function quoted(line: string, at: number): number {
  const quote = line[at];
  for (let end = at + 1; end < line.length; end += 1) {
    if (line[end] === "\\") end += 1;
    else if (line[end] === quote) return end + 1;
  }
  return line.length;
}

function push(found: Token[], kind: TokenKind, text: string): void {
  if (text === "") return;
  const last = found[found.length - 1];
  if (last?.kind === kind) last.text += text;
  else found.push({ kind, text });
}
