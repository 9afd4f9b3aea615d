/** Long loops on the event loop's thread let others have their turn: requests, timers, renewals of leases. */

const stretchMs = 4;

/** A loop calls `await breath()` now and then: it gives way when the loop has run for some milliseconds, and costs nothing else. */
export function breathing(): () => Promise<void> | undefined {
  let since = performance.now();
  return () => {
    if (performance.now() - since < stretchMs) return undefined;
    return new Promise((resolve) =>
      setImmediate(() => {
        since = performance.now();
        resolve();
      }),
    );
  };
}
