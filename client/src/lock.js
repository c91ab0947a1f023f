/**
 * The lock that makes one tab the leader: a Web Lock, or one that a SharedWorker hands out, because
 * Web Locks exist only on https and on localhost.
 */

/**
 * @param {string} name
 * @param {object} handlers
 * @param {() => void} handlers.onHeld
 * @param {() => void} handlers.onLost another tab has taken the lock
 * @param {() => void} handlers.onRefused the browser gives none
 * @param {any} env
 * @returns {?{request: (steal?: boolean) => void, release: () => void}} null if there are no locks
 */
export function openLock(name, handlers, env) {
  if (!env.BroadcastChannel) return null;
  if (env.navigator?.locks) return new WebLock(name, handlers, env);
  return env.SharedWorker ? lateLock(name, handlers, env) : null;
}

/** On plain HTTP, which few pages use. */
function lateLock(name, handlers, env) {
  const lock = import('./worker_lock.js').then(({ WorkerLock }) => new WorkerLock(name, handlers, env));
  lock.catch(handlers.onRefused);
  const use = (then) => lock.then(then, () => {});
  return {
    request: (steal) => use((there) => there.request(steal)),
    release: () => use((there) => there.release()),
  };
}

class WebLock {
  #name;
  #handlers;
  #locks;
  #candidacy = null;

  constructor(name, handlers, env) {
    this.#name = name;
    this.#handlers = handlers;
    this.#locks = env.navigator.locks;
  }

  async request(steal = false) {
    this.release();
    const candidacy = new AbortController();
    this.#candidacy = candidacy;
    const { signal } = candidacy;
    const { onHeld, onLost, onRefused } = this.#handlers;
    try {
      await this.#locks.request(this.#name, steal ? { steal } : { signal }, () => {
        if (signal.aborted) return;
        onHeld();
        return new Promise((resolve) => signal.addEventListener('abort', resolve));
      });
    } catch (error) {
      if (signal.aborted) return;
      // A browser may refuse locks, for instance if it stores no data of the site.
      if (error.name === 'AbortError') onLost();
      else onRefused();
    }
  }

  release() {
    this.#candidacy?.abort();
  }
}
