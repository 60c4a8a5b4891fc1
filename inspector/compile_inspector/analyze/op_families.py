"""What an operation is called at every stage: ``torch.relu``, ``relu``, ``aten.relu.default`` and ``operator.iadd`` without what differs."""

from __future__ import annotations

import re
from functools import lru_cache

_SPELLED = {
    "truediv": "div", "true_divide": "div", "floordiv": "floor_divide", "iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "div",
    "multiply": "mul", "divide": "div", "subtract": "sub", "negative": "neg", "reshape": "view", "_unsafe_view": "view", "contiguous": "clone",
    "float": "convert", "half": "convert", "bfloat16": "convert", "double": "convert", "long": "convert", "int": "convert", "bool": "convert",
    "to": "convert", "type": "convert", "_to_copy": "convert", "convert_element_type": "convert", "matmul": "mm", "linear": "mm",
    "addmm": "mm", "bmm": "mm", "baddbmm": "mm", "mv": "mm", "einsum": "mm", "t": "transpose", "permute": "transpose", "t_copy": "transpose",
    "batch_norm": "norm", "layer_norm": "norm", "native_layer_norm": "norm", "native_batch_norm": "norm", "_native_batch_norm_legit": "norm",
    "group_norm": "norm", "native_group_norm": "norm", "cudnn_batch_norm": "norm", "_fused_rms_norm": "norm", "rms_norm": "norm",
    "scaled_dot_product_attention": "attention", "flex_attention": "attention", "_softmax": "softmax", "_log_softmax": "log_softmax",
    "conv1d": "convolution", "conv2d": "convolution", "conv3d": "convolution", "cross_entropy_loss": "nll_loss", "nll_loss_forward": "nll_loss",
    "cross_entropy": "nll_loss", "max_pool2d": "max_pool2d_with_indices", "masked_fill_": "where", "masked_fill": "where",
    "adaptive_avg_pool2d": "mean", "concat": "cat", "concatenate": "cat", "clamp_min": "clamp", "clamp_max": "clamp",
    "native_dropout": "dropout", "embedding_dense": "embedding", "threshold": "relu",
}  # fmt: skip
_BARE_OPERATORS = {"and_", "or_", "not_"}
_OVERLOADED = re.compile(r"torch\.ops\.[^.]+\.([^.]+)(?:\.[^.]+)?$")
_ATTENTION = re.compile(r"_?scaled_dot_product_\w*attention\w*")


@lru_cache(maxsize=4096)
def family_of(target: str) -> str:
    """The family of a node's target; the target's last word where it belongs to none.

    Two targets of one family do the same, or one is what the other becomes (``linear`` and ``mm``).
    """
    overloaded = _OVERLOADED.match(target)
    word = overloaded[1] if overloaded is not None else target.rsplit(".", 1)[-1]
    if _ATTENTION.fullmatch(word) is not None:
        return "attention"
    plain = word if word in _BARE_OPERATORS else word.rstrip("_") or word
    return _SPELLED.get(plain, plain)
