"""Writes src/wire.ts from the classes of compile_inspector.views.wire; with ``--check``, fails where the file is not current."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from compile_inspector.views.wire import Wire, WirePart

TARGET = Path(__file__).parent.parent / "src" / "wire.ts"
_SIMPLE = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def typescript() -> str:
    """The types of the wire, as the source of a TypeScript module."""
    _, components = msgspec.json.schema_components([Wire, WirePart], ref_template="{name}")
    parts = [
        "// Made by scripts/wire_types.py from compile_inspector/views/wire.py: change that, then run `npm run types`.\n"
    ]
    for name, schema in sorted(components.items()):
        parts.append(_interface(name, schema))
    return "\n".join(parts)


def _interface(name: str, schema: dict[str, Any]) -> str:
    lines = [f"export interface {name} {{"]
    lines += [f"  {key}: {_type(field)};" for key, field in schema["properties"].items()]
    return "\n".join([*lines, "}", ""])


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"]
    if "enum" in schema:
        return " | ".join(f'"{value}"' if isinstance(value, str) else str(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(_type(option) for option in schema["anyOf"]))
    if schema["type"] == "array":
        item = _type(schema["items"])
        return f"({item})[]" if "|" in item else f"{item}[]"
    if schema["type"] == "object":
        return f"Record<string, {_type(schema['additionalProperties'])}>"
    return _SIMPLE[schema["type"]]


def main() -> int:
    """Writes the file, or with ``--check`` compares it."""
    text = typescript()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    if TARGET.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{TARGET.name} is not current: run `npm run types`\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
