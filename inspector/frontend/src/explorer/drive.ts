// Runs a generator's work in slices, so that whatever else waits on the same thread gets its turn.

/** Runs `work` to its end in slices of `slice_ms`; stops without a word once `stale` says so. */
export function drive<T>(work: Generator<void, T>, sliceMs: number, stale: () => boolean, done: (value: T) => void, failed: (error: unknown) => void): void {
  const step = (): void => {
    if (stale()) return;
    const until = performance.now() + sliceMs;
    try {
      do {
        const next = work.next();
        if (next.done) return done(next.value);
      } while (performance.now() < until);
    } catch (error) {
      return failed(error);
    }
    setTimeout(step);
  };
  step();
}

/** Runs `work` to its end, at once. */
export function finish<T>(work: Generator<void, T>): T {
  for (;;) {
    const next = work.next();
    if (next.done) return next.value;
  }
}
