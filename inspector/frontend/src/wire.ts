// Made by scripts/wire_types.py from compile_inspector/views/wire.py: change that, then run `npm run types`.

export interface Absence {
  name: string;
  reason: string;
}

export interface Fact {
  key: string;
  label: string;
  value: string;
  tone: "bad" | "good" | "plain" | "warn";
  table: string | null;
}

export interface Sentence {
  text: string;
  tone: "bad" | "good" | "plain" | "warn";
  table: string | null;
}

export interface Wire {
  version: 1;
  name: string | null;
  view: string | null;
  live: boolean;
  headline: string;
  facts: Fact[];
  sentences: Sentence[];
  not_recorded: Absence[];
  tables: WireTable[];
  recompiles: WireRecompile[];
  timelines: WireTimeline[];
  environment: WireEnvironment;
  left_out: Record<string, string>;
}

export interface WireChain {
  subject: string;
  compile_id: string | null;
  verdict: string;
  steps: WireStep[];
}

export interface WireColumn {
  key: string;
  title: string;
  kind: "badge" | "code" | "duration" | "id" | "list" | "location" | "number" | "text";
  detail: boolean;
  words: (string | string[])[] | null;
  codes: number[] | null;
  numbers: (number | null)[] | null;
}

export interface WireEntry {
  entry_id: string;
  nearest: boolean;
  complete: boolean;
  torch_reason: string | null;
  failing: WireTable;
  unevaluated: WireTable;
}

export interface WireEnvironment {
  versions: WirePair[];
  packages: WirePair[];
  config: WirePair[];
}

export interface WirePair {
  name: string;
  value: string;
}

export interface WirePart {
  key: string;
  table: WireTable | null;
  chain: WireChain | null;
  pairs: number[] | null;
  text: string | null;
  problem: string | null;
}

export interface WireRecompile {
  compile_id: string;
  function: string | null;
  trigger: string | null;
  trigger_code: string | null;
  entries: WireEntry[];
}

export interface WireStep {
  kind: "decision" | "finding" | "guard" | "input" | "operation" | "recompile" | "symbol";
  text: string;
  location: string | null;
  code: string | null;
}

export interface WireTable {
  name: string;
  title: string;
  count: number;
  total: number;
  columns: WireColumn[];
  note: string | null;
  absent: string | null;
}

export interface WireTimeline {
  compile_id: string;
  start_ns: number | null;
  elapsed_ns: number | null;
  phases: WireTable;
}
