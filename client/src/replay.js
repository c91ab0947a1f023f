/**
 * What a server without reads has of the past: a stream that is stopped once it has caught up. Few
 * pages need it, so it is loaded when it is needed, and imports nothing.
 */

// A server that no longer has the event would be waited for in vain.
const CAUGHT_UP_WITHIN_MS = 15_000;

/**
 * Resolves once it has caught up, or is given up.
 * @param {import('./stream.js').Stream} stream not started
 * @param {object} how
 * @param {(raw: any) => boolean} how.isLast whether it has come as far as it should
 * @param {(batch: object[]) => void} how.pass where it does not come so far, it gets a gap
 * @param {AbortSignal} how.signal
 * @param {any} env
 * @returns {Promise<void>}
 */
export function replay(stream, { isLast, pass, signal }, env) {
  const from = stream.cursor;
  return new Promise((resolve) => {
    const stop = () => {
      stream.onBatch = () => {};
      stream.stop();
      env.clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      resolve();
    };
    const timer = env.setTimeout(() => {
      stop();
      pass([{ kind: 'gap', place: null, cursor: null, missed: null, from, isBack: false }]);
    }, CAUGHT_UP_WITHIN_MS);
    signal.addEventListener('abort', stop);
    stream.onBatch = (batch) => {
      pass(batch);
      if (batch.some(isLast)) stop();
    };
    stream.start();
  });
}
