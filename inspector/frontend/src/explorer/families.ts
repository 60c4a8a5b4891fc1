// What kind of work an operator does, from its name: the families that colour the graph.

import { CALL_FUNCTION, CALL_METHOD, GET_ATTR, OUTPUT, PLACEHOLDER, type GraphModel } from "./model.ts";

export const FAMILIES = [
  { key: "matmul", label: "Matrix product, convolution", sign: "×" },
  { key: "attention", label: "Attention", sign: "A" },
  { key: "reduce", label: "Norm, softmax, reduction", sign: "Σ" },
  { key: "elementwise", label: "Elementwise", sign: "ƒ" },
  { key: "view", label: "View, shape", sign: "◫" },
  { key: "memory", label: "Copy, create, index", sign: "▣" },
  { key: "collective", label: "Collective", sign: "⇄" },
  { key: "control", label: "Control flow, higher order", sign: "?" },
  { key: "size", label: "Size, scalar", sign: "#" },
  { key: "custom", label: "Custom operator", sign: "★" },
  { key: "input", label: "Input", sign: "▽" },
  { key: "constant", label: "Parameter, constant", sign: "■" },
  { key: "output", label: "Output", sign: "△" },
  { key: "other", label: "Other", sign: "·" },
] as const;

export type Family = (typeof FAMILIES)[number]["key"];

const INDEX = new Map(FAMILIES.map(({ key }, at) => [key, at]));

const RULES: readonly [Family, RegExp][] = [
  ["collective", /^(_?c10d|_?dtensor)|^(all_?reduce|all_?gather|reduce_?scatter|all_?to_?all|broadcast_?coalesced|wait_tensor|isend|irecv|barrier)/],
  ["control", /^(cond|while_loop|map_impl|map|scan|associative_scan|invoke_subgraph|invoke_quant|run_and_save_rng_state|run_with_rng_state|triton_kernel_wrapper\w*|auto_functionalized\w*|wrap\w*|checkpoint|tag_activation_checkpoint|autograd_function_apply|with_effects|_set_grad_enabled|_enter_autocast|_exit_autocast|hints_wrapper|flat_apply|_assert\w*|sym_constrain_range\w*)$/],
  ["attention", /attention|^_?flash|^_?sdpa|flex_attn|paged_kv/],
  ["matmul", /^(mm|bmm|addmm|addbmm|baddbmm|matmul|linear|linear_backward|einsum|dot|vdot|mv|addmv|outer|ger|tensordot|bilinear|_scaled_(grouped_)?mm\w*|_int_mm|_weight_int\w*|_grouped_mm|conv[123]d|conv_\w+|conv_t\w+|_?convolution\w*|__matmul__|__rmatmul__|imatmul|lstm\w*|gru\w*|rnn\w*)$/],
  ["reduce", /norm(?!al)|softmax|^(sum|mean|var|var_mean|std|std_mean|max|min|amax|amin|argmax|argmin|aminmax|prod|any|all|logsumexp|cumsum|cumprod|cummax|cummin|topk|sort|argsort|kthvalue|median|mode|nll_loss\w*|cross_entropy\w*|mse_loss\w*|\w*_loss\w*|\w*pool\w*|trace|count_nonzero|bincount|histc|unique\w*)$/],
  ["view", /^(view|view_as|reshape|reshape_as|_unsafe_view|_reshape_alias|transpose|t|permute|movedim|swapaxes|expand|expand_as|unsqueeze|squeeze|flatten|unflatten|slice|select|split|split_with_sizes|chunk|unbind|narrow|as_strided|getitem|__getitem__|diagonal|detach|alias|lift_fresh\w*|unfold|mT|mH|T|H|numpy_T|view_of|broadcast_to|_conj|real|imag|view_as_real|view_as_complex|data|lift|refine_names|swapdims|tensor_split)$/],
  ["memory", /^(clone|contiguous|copy|copy_|to|_to_copy|type|type_as|float|half|bfloat16|double|long|int|bool|cuda|cpu|empty\w*|new_\w+|zeros\w*|ones\w*|full\w*|arange|linspace|eye|tensor|as_tensor|scalar_tensor|_tensor_constant\w*|cat|concat|concatenate|stack|hstack|vstack|repeat|repeat_interleave|tile|pad|constant_pad_nd|roll|flip|gather|scatter\w*|index\w*|_unsafe_index\w*|_index_put\w*|embedding\w*|_embedding_bag\w*|masked_\w+|take\w*|tril|triu|tril_indices|triu_indices|slice_scatter|select_scatter|as_strided_scatter|diagonal_scatter|setitem|__setitem__|fill\w*|zero_|device_put|convert_element_type|iota|rand\w*|normal\w*|uniform\w*|bernoulli\w*|multinomial|native_dropout\w*|dropout\w*|inductor_\w+|set_|resize\w*|meshgrid|one_hot|nonzero\w*|where_|bucketize|searchsorted)$/],
  ["size", /^(sym_\w+|size|stride|numel|storage_offset|dim|item|_local_scalar_dense|tolist|shape|len|sym_size|ceil_?|math_\w+|ndim|is_\w+|__len__|_check\w*)$/],
];

/** By node: index in FAMILIES. */
export function familiesOf(graph: GraphModel): Uint8Array {
  const byTarget = new Map<number, number>();
  const codes = graph.codes("target");
  const values = graph.codes("value");
  return Uint8Array.from({ length: graph.count }, (_, node) => {
    const op = graph.op[node] as number;
    if (op === PLACEHOLDER) return index("input");
    if (op === GET_ATTR) return index("constant");
    if (op === OUTPUT) return index("output");
    if (graph.strings[values[node] as number] !== undefined && graph.text("shape", node) === null) return index("size");
    const key = (codes[node] as number) * 8 + op;
    let found = byTarget.get(key);
    if (found === undefined) {
      found = index(op === CALL_FUNCTION || op === CALL_METHOD ? familyOf(graph.text("target", node) ?? "") : "other");
      byTarget.set(key, found);
    }
    return found;
  });
}

/** The family of an operator, from its full name. */
export function familyOf(target: string): Family {
  const { space, word } = operatorOf(target);
  if (/^_?(c10d|dtensor)/.test(space)) return "collective";
  for (const [family, rule] of RULES) if (rule.test(word)) return family;
  const known = ["", "aten", "prims", "inductor", "higher_order", "quantized", "quantized_decomposed", "rngprims", "fsdp", "symm_mem"].includes(space);
  if (space === "higher_order") return "control";
  return known ? "elementwise" : "custom";
}

export interface OperatorName {
  /** The namespace of `torch.ops`, or the module of a function that is not torch's; empty for torch's own. */
  readonly space: string;
  readonly word: string;
  /** The overload, empty for the default one. */
  readonly overload: string;
}

/** The parts of an operator's full name that tell it from others. */
export function operatorOf(target: string): OperatorName {
  const parts = target.replace(/^torch\.ops\./, "ops.").split(".").filter((part) => part !== "");
  if (parts[0] === "ops" || /^(aten|prims|higher_order)$/.test(parts[0] ?? "")) {
    const [space = "", word = "", overload = ""] = parts[0] === "ops" ? parts.slice(1) : parts;
    return word === "" ? { space: "", word: space, overload: "" } : { space, word, overload: overload === "default" ? "" : overload };
  }
  const word = parts[parts.length - 1] ?? "";
  const torchs = parts.length === 1 || /^(torch|_?operator|math|builtins|_C)$/.test(parts[0] ?? "");
  return { space: torchs ? "" : (parts[parts.length - 2] ?? ""), word, overload: "" };
}

function index(family: Family): number {
  return INDEX.get(family) as number;
}
