/**
 * A browser for unit tests: tabs with one clock that moves only when told, one set of locks
 * and one set of channels. Its limits: an EventSource says what the test makes it say, a
 * frozen tab goes on running, and the random number is always one half.
 */

export class FakeBrowser {
  nowMs = 1_795_363_200_000;
  tabs = [];
  sources = [];
  channels = new Set();
  locks = new FakeLocks();
  #timers = new Map();
  #timerCount = 0;

  openTab() {
    const tab = new FakeWindow(this);
    this.tabs.push(tab);
    return tab;
  }

  get openSources() {
    return this.sources.filter((source) => source.readyState !== 2);
  }

  get lastSource() {
    return this.sources.at(-1);
  }

  /** Time goes by, and timers run when they are due. */
  advance(ms) {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { atMs }]) => atMs <= untilMs);
      if (due.length === 0) break;
      const [id, { atMs, callback }] = due.reduce((a, b) => (b[1].atMs < a[1].atMs ? b : a));
      this.#timers.delete(id);
      this.nowMs = Math.max(this.nowMs, atMs);
      callback();
    }
    this.nowMs = untilMs;
  }

  /** As advance, with the messages between tabs and the locks settled each second. */
  async pass(ms) {
    for (let leftMs = ms; leftMs > 0; leftMs -= 1_000) {
      this.advance(Math.min(leftMs, 1_000));
      await this.settle();
    }
  }

  /** Time goes by for the wall clock alone: the machine sleeps. */
  sleep(ms) {
    this.nowMs += ms;
    for (const timer of this.#timers.values()) timer.atMs += ms;
  }

  /** Lets promises, locks and messages between tabs come to rest. */
  async settle() {
    for (let round = 0; round < 3; round += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  setTimer(callback, delayMs) {
    this.#timerCount += 1;
    this.#timers.set(this.#timerCount, { atMs: this.nowMs + delayMs, callback });
    return this.#timerCount;
  }

  clearTimer(id) {
    this.#timers.delete(id);
  }
}

export class FakeWindow extends EventTarget {
  document = { visibilityState: 'visible' };

  constructor(browser) {
    super();
    const id = browser.tabs.length;
    this.Date = { now: () => browser.nowMs };
    this.Math = { random: () => 0.5 };
    this.setTimeout = (callback, delayMs) => browser.setTimer(callback, delayMs);
    this.clearTimeout = (timer) => browser.clearTimer(timer);
    this.navigator = { onLine: true, locks: browser.locks };
    this.EventSource = class extends FakeEventSource {
      constructor(url) {
        super(url, id);
        browser.sources.push(this);
      }
    };
    this.BroadcastChannel = class extends FakeChannel {
      constructor(name) {
        super(name, browser.channels);
      }
    };
  }

  fire(type, properties = {}) {
    this.dispatchEvent(Object.assign(new Event(type), properties));
  }

  goOffline() {
    this.navigator.onLine = false;
    this.fire('offline');
  }

  goOnline() {
    this.navigator.onLine = true;
    this.fire('online');
  }
}

class FakeEventSource extends EventTarget {
  readyState = 0;

  constructor(url, tabId) {
    super();
    this.url = url;
    this.tabId = tabId;
  }

  get cursor() {
    return new URL(this.url, 'http://barestream.test').searchParams.get('lastEventID');
  }

  open() {
    this.readyState = 1;
    this.dispatchEvent(new Event('open'));
  }

  /** A tick whose stamp is `second` seconds after the epoch of the test. */
  tick(second) {
    this.#say('message', idOf(second), `data of ${second}`);
  }

  gap(second, missed) {
    this.#say('barestream.gap', idOf(second), JSON.stringify({ missed }));
  }

  gapBack(from, second) {
    this.#say('barestream.gap', idOf(second), JSON.stringify({ from: idOf(from), missed: 0 }));
  }

  gapWithData(second, data) {
    this.#say('barestream.gap', idOf(second), data);
  }

  fail() {
    this.dispatchEvent(new Event('error'));
  }

  close() {
    this.readyState = 2;
  }

  #say(type, lastEventId, data) {
    this.dispatchEvent(Object.assign(new Event(type), { lastEventId, data }));
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

class FakeLocks {
  #held = null;
  #queue = [];

  async request(name, { signal, steal = false }, callback) {
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

export function idOf(second) {
  return `#${second * 1_000}-0`;
}

/** What a stream gives out, in order, as short words. */
export function recorded(stream) {
  const record = { ticks: [], gaps: [], states: [], details: [] };
  stream.addEventListener('message', ({ detail }) => {
    record.ticks.push(Number(detail.id.slice(1, -5)));
    record.details.push(detail);
  });
  stream.addEventListener('gap', ({ detail }) => record.gaps.push(detail.missed));
  stream.addEventListener('statechange', ({ detail }) => record.states.push(detail.state));
  return record;
}
