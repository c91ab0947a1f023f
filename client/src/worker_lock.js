/**
 * A lock that a SharedWorker hands out (lock_worker.js).
 */

export class WorkerLock {
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
