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
  return env.SharedWorker ? new WorkerLock(name, handlers, env) : null;
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

class WorkerLock {
  #port = null;
  #open;

  constructor(name, { onHeld, onLost, onRefused }, env) {
    this.#open = () => {
      try {
        const worker = new env.SharedWorker(new URL('./lock_worker.js', import.meta.url), { name });
        const { port } = worker;
        this.#port = port;
        // The script is missing, or the page's policy forbids workers.
        worker.onerror = () => port === this.#port && onRefused();
        port.onmessage = ({ data }) => {
          if (port !== this.#port) return;
          if (data === 'ping') port.postMessage('pong');
          else if (data === 'held') onHeld();
          else onLost();
        };
      } catch {
        // The script is of another origin than the page.
        env.setTimeout(onRefused, 0);
      }
    };
  }

  request(steal = false) {
    if (!this.#port) this.#open();
    this.#port?.postMessage(steal ? 'steal' : 'want');
  }

  release() {
    this.#port?.postMessage('bye');
    this.#port?.close();
    this.#port = null;
  }
}
