// What a graph's names are called on screen.

/** `mm.default` for `torch.ops.aten.mm.default`, `linear` for `torch._C._nn.linear`: the part that tells operators apart. */
export function shortTarget(target: string): string {
  return target.replace(/^torch\.ops\.(?:aten|prims)\./, "").replace(/^torch\.ops\./, "").replace(/^torch\.nn\.functional\.|^torch\._C\._nn\.|^torch\._C\.|^torch\.|^_operator\.|^operator\./, "").replace(/\.default$/, "");
}

/** `LlamaMLP` for a class with its modules. */
export function shortClass(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}

/** `4.19 MiB`: bytes with three digits and a unit. */
export function size(bytes: number): string {
  const units: [string, number][] = [["GiB", 1024 ** 3], ["MiB", 1024 ** 2], ["KiB", 1024]];
  for (const [unit, step] of units) {
    if (bytes >= step * 0.9995) {
      const value = bytes / step;
      return `${value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)} ${unit}`;
    }
  }
  return `${bytes} B`;
}
