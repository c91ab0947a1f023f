/**
 * A browser for unit tests: tabs with one clock that moves only when told, one set of locks, of
 * channels and of shared workers. A tab is the `env` of the client's modules. Its limits: a frozen
 * tab goes on running, and the random number of a tab counts up.
 */

import { readFileSync } from 'node:fs';

import { FakeTimers } from './fake_timers.mjs';

const LOCK_WORKER = readFileSync(new URL('../../client/src/lock_worker.js', import.meta.url), 'utf8');

export class FakeBrowser {
  nowMs = 1_795_363_200_000;
  tabs = [];
  channels = new Set();
  locks = new FakeLocks();
  workers = new Map();
  #timers = new FakeTimers();

  /**
   * @param {object} [options]
   * @param {(url: string, init: object) => Promise<Response>} [options.fetch]
   * @param {boolean} [options.hasLocks] false: as on plain HTTP
   * @param {boolean} [options.hasWorkers] false: as in some browsers of phones
   */
  openTab({ fetch, hasLocks = true, hasWorkers = true } = {}) {
    const tab = new FakeTab(this, { fetch, hasLocks, hasWorkers });
    this.tabs.push(tab);
    return tab;
  }

  get timerCount() {
    return this.#timers.size;
  }

  /** Time goes by, and timers run when they are due. */
  advance(ms) {
    const untilMs = this.nowMs + ms;
    for (let due; (due = this.#timers.takeDue(untilMs)); ) {
      this.nowMs = Math.max(this.nowMs, due.atMs);
      due.callback();
    }
    this.nowMs = untilMs;
  }

  /** As advance, with promises and messages settled each second. */
  async pass(ms) {
    for (let leftMs = ms; leftMs > 0; leftMs -= 1_000) {
      this.advance(Math.min(leftMs, 1_000));
      await this.settle();
    }
  }

  /** Lets promises, locks, messages between tabs, and timers without a delay come to rest. */
  async settle() {
    for (let round = 0; round < 30; round += 1) {
      // Messages come first, as they may in a browser.
      await new Promise((resolve) => setImmediate(resolve));
      if (round % 2) this.advance(0);
    }
  }

  setTimer(callback, delayMs) {
    return this.#timers.set(this.nowMs + (delayMs || 0), callback);
  }

  clearTimer(id) {
    this.#timers.clear(id);
  }
}

class FakeTab extends EventTarget {
  document = { visibilityState: 'visible' };
  reported = [];
  listenerCount = 0;
  ports = [];

  constructor(browser, { fetch, hasLocks, hasWorkers }) {
    super();
    const id = browser.tabs.length;
    this.fetch = fetch;
    this.crypto = globalThis.crypto;
    this.Date = Object.assign((...args) => new Date(...args), {
      now: () => browser.nowMs,
      parse: Date.parse,
    });
    let randoms = 0;
    this.Math = { random: () => (id + (randoms += 1) / 1_000) / 100 };
    this.setTimeout = (callback, delayMs) => browser.setTimer(callback, delayMs);
    this.clearTimeout = (timer) => browser.clearTimer(timer);
    this.reportError = (error) => this.reported.push(error);
    this.navigator = { onLine: true, locks: hasLocks ? browser.locks : undefined };
    this.BroadcastChannel = class extends FakeChannel {
      constructor(name) {
        super(name, browser.channels);
      }
    };
    if (!hasWorkers) return;
    const { ports } = this;
    this.SharedWorker = class {
      constructor(url, { name }) {
        if (!browser.workers.has(name)) browser.workers.set(name, new FakeWorker(browser));
        const [port, inside] = portPair();
        this.port = port;
        ports.push(port);
        setImmediate(() => browser.workers.get(name).connect(inside));
      }
    };
  }

  addEventListener(type, listener, options = {}) {
    this.listenerCount += 1;
    super.addEventListener(type, listener, options);
  }

  removeEventListener(...args) {
    this.listenerCount -= 1;
    super.removeEventListener(...args);
  }

  fire(type, properties = {}) {
    this.dispatchEvent(Object.assign(new Event(type), properties));
  }

  /** What is posted to its ports waits, as in a frozen tab. */
  freezePorts() {
    for (const port of this.ports) port.freeze();
  }

  hide() {
    this.document.visibilityState = 'hidden';
    this.fire('visibilitychange');
  }

  show() {
    this.document.visibilityState = 'visible';
    this.fire('visibilitychange');
  }
}

class FakeChannel {
  onmessage = null;

  constructor(name, channels) {
    this.name = name;
    this.channels = channels;
    channels.add(this);
  }

  postMessage(data) {
    if (!this.channels.has(this)) throw new Error('the channel is closed');
    for (const channel of this.channels) {
      if (channel === this || channel.name !== this.name) continue;
      const copy = structuredClone(data);
      setImmediate(() => {
        if (this.channels.has(channel)) channel.onmessage?.({ data: copy });
      });
    }
  }

  close() {
    this.channels.delete(this);
  }
}

/** Runs the real script of the shared worker. */
class FakeWorker {
  #self = { onconnect: null };

  constructor(browser) {
    const setTimer = (callback, delayMs) => browser.setTimer(callback, delayMs);
    const clearTimer = (timer) => browser.clearTimer(timer);
    new Function('self', 'setTimeout', 'clearTimeout', LOCK_WORKER)(this.#self, setTimer, clearTimer);
  }

  connect(port) {
    this.#self.onconnect({ ports: [port] });
    port.start();
  }
}

function portPair() {
  const [a, b] = [new FakePort(), new FakePort()];
  a.other = b;
  b.other = a;
  a.start();
  return [a, b];
}

class FakePort {
  onmessage = null;
  isClosed = false;
  #queue = [];
  #isStarted = false;

  /** Messages sent before the other side listens wait, as in a browser. */
  start() {
    this.#isStarted = true;
    for (const data of this.#queue.splice(0)) this.onmessage?.({ data });
  }

  freeze() {
    this.#isStarted = false;
  }

  postMessage(data) {
    if (this.isClosed) return;
    setImmediate(() => {
      if (!this.other.isClosed) this.other.take(data);
    });
  }

  take(data) {
    if (this.#isStarted) this.onmessage?.({ data });
    else this.#queue.push(data);
  }

  close() {
    this.isClosed = true;
  }
}

class FakeLocks {
  #locks = new Map();

  get isHeld() {
    return [...this.#locks.values()].some(({ isHeld }) => isHeld);
  }

  async request(name, options, callback) {
    if (!this.#locks.has(name)) this.#locks.set(name, new FakeLock());
    return this.#locks.get(name).request(options, callback);
  }
}

class FakeLock {
  #held = null;
  #queue = [];

  get isHeld() {
    return this.#held !== null;
  }

  async request({ signal, steal = false }, callback) {
    if (signal && steal) throw new DOMException('signal and steal', 'NotSupportedError');
    if (steal) this.#held?.reject(new DOMException('stolen', 'AbortError'));
    else if (this.#held) await this.#wait(signal);
    return this.#hold(callback);
  }

  #wait(signal) {
    return new Promise((resolve, reject) => {
      this.#queue.push(resolve);
      signal.addEventListener('abort', () => {
        this.#queue = this.#queue.filter((other) => other !== resolve);
        reject(signal.reason);
      });
    });
  }

  async #hold(callback) {
    const lock = {};
    const stolen = new Promise((_, reject) => {
      lock.reject = reject;
    });
    this.#held = lock;
    try {
      return await Promise.race([callback(), stolen]);
    } finally {
      if (this.#held === lock) {
        this.#held = null;
        this.#queue.shift()?.();
      }
    }
  }
}
