// Numbers, times and places as short texts, worded as the Python side words them.

/** `1.24 s`, `83.0 ms`, `512 µs`: three digits and a unit; minutes from 100 s on. */
export function duration(ns: number): string {
  if (ns >= 99.95e9) {
    const seconds = Math.round(ns / 1e9);
    return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
  }
  const units: [string, number][] = [["s", 1e9], ["ms", 1e6], ["µs", 1e3]];
  for (const [unit, size] of units) {
    if (ns >= size * 0.9995) {
      const value = ns / size;
      return `${value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)} ${unit}`;
    }
  }
  return `${ns.toFixed(0)} ns`;
}

/** `3,012`. */
export function whole(value: number): string {
  // A page may show ten thousand of these, and the browser's own formatter is slow.
  return Number.isInteger(value) && Math.abs(value) < 1e15 ? String(value).replace(/\B(?=(\d{3})+$)/g, ",") : value.toLocaleString("en-US");
}

/** `1 compile`, `1,024 compiles`, `no compiles`. */
export function count(number: number, one: string, many = `${one}s`): string {
  return number === 0 ? `no ${many}` : `${whole(number)} ${number === 1 ? one : many}`;
}

/** `L['self'].layers[0].weight` for a source that spells out the dictionaries that modules keep their parts in. */
export function shortSource(text: string): string {
  return text.includes("._") ? text.replace(/\._(?:modules|parameters|buffers)\['([^']*)'\]/g, (_, name: string) => (/^\d+$/.test(name) ? `[${name}]` : `.${name}`)) : text;
}

/** `model.py:12` for a place given with its folders. */
export function shortPlace(place: string): string {
  return place.slice(Math.max(place.lastIndexOf("/"), place.lastIndexOf("\\")) + 1);
}
