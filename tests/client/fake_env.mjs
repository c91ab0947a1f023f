/**
 * What the client has of a browser's tab, for unit tests: a clock that moves only when told, a network
 * on which each answer is the test's, and the page's events. Its limit: the random number is always
 * one half.
 */

import { FakeTimers } from './fake_timers.mjs';

export class FakeEnv extends EventTarget {
  nowMs = 1_795_363_200_000;
  requests = [];
  errors = [];
  /** Whether fetch knows nothing of its signal. */
  isDeaf = false;
  navigator = { onLine: true };
  document = { hidden: false };
  Math = { random: () => 0.5 };
  Date = { now: () => this.nowMs };
  #timers = new FakeTimers();
  #signals = [];

  fetch = (url, options = {}) => {
    const request = new FakeRequest(url, options, this.isDeaf);
    request.atMs = this.nowMs;
    this.requests.push(request);
    return request.response;
  };

  setTimeout = (callback, delayMs = 0) => this.#timers.set(this.nowMs + delayMs, callback);

  clearTimeout = (timer) => this.#timers.clear(timer);

  reportError = (error) => this.errors.push(error);

  addEventListener(type, listener, options = {}) {
    super.addEventListener(type, listener, options);
    this.#signals.push(options.signal);
  }

  /** What is left running: a stopped client leaves nothing. */
  get rest() {
    const requests = this.requests.filter((request) => request.isOpen).length;
    const listeners = this.#signals.filter((signal) => !signal?.aborted).length;
    return { timers: this.#timers.size, listeners, requests };
  }

  get last() {
    return this.requests.at(-1);
  }

  get open() {
    return this.requests.filter((request) => request.isOpen);
  }

  /** Time goes by, and timers run when they are due; promises come to rest after each. */
  async advance(ms) {
    await this.settle();
    const untilMs = this.nowMs + ms;
    for (let due; (due = this.#timers.takeDue(untilMs)); ) {
      this.nowMs = Math.max(this.nowMs, due.atMs);
      due.callback();
      await this.settle();
    }
    // What ran may have taken its time.
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  /** The wall clock alone goes on: the machine sleeps. A negative time sets the clock back. */
  sleep(ms) {
    this.nowMs += ms;
    this.#timers.postpone(ms);
  }

  async settle() {
    for (let round = 0; round < 4; round += 1) await new Promise((resolve) => setImmediate(resolve));
  }

  async fire(type, properties = {}) {
    this.dispatchEvent(Object.assign(new Event(type), properties));
    await this.settle();
  }

  async goOffline() {
    this.navigator.onLine = false;
    await this.fire('offline');
  }

  async goOnline() {
    this.navigator.onLine = true;
    await this.fire('online');
  }
}

const encoder = new TextEncoder();

/** A request that waits for the test to answer it. */
export class FakeRequest {
  isAborted = false;
  isAnswered = false;
  #resolve;
  #reject;
  #controller = null;
  #over = new AbortController();

  constructor(url, { method = 'GET', body, headers = {}, signal, ...options }, isDeaf) {
    this.url = String(url);
    this.method = method;
    this.body = body;
    this.headers = headers;
    this.options = options;
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const until = { signal: this.#over.signal };
    if (signal?.aborted && !isDeaf) this.#abort(signal.reason);
    signal?.addEventListener('abort', () => !isDeaf && this.#abort(signal.reason), until);
  }

  #abort(reason) {
    this.isAborted = true;
    this.#reject(reason);
    this.#break(reason);
  }

  get isOpen() {
    return !this.isAborted && (!this.isAnswered || this.#controller !== null);
  }

  /** The parameters, wherever they are. */
  get params() {
    return new URLSearchParams(this.body ?? new URL(this.url).search);
  }

  get isRead() {
    return this.headers.Accept === 'application/json';
  }

  /** Answers with a stream that stays open. */
  async stream(headers = {}, status = 200) {
    const body = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#controller = null;
      },
    });
    const type = { 'Content-Type': 'text/event-stream; charset=utf-8' };
    await this.#answer(new Response(body, { status, headers: { ...type, ...headers } }));
    return this;
  }

  /** Answers at once as a whole. */
  async answer(status, body = null, headers = {}) {
    this.#over.abort();
    await this.#answer(new Response(body, { status, headers }));
  }

  async json(content) {
    await this.answer(200, JSON.stringify(content), { 'Content-Type': 'application/json' });
  }

  async problem(status, detail = null, headers = {}) {
    const type = { 'Content-Type': 'application/problem+json', ...headers };
    await this.answer(status, JSON.stringify({ status, detail }), type);
  }

  async fail() {
    this.isAnswered = true;
    this.#reject(new TypeError('Failed to fetch'));
    await settled();
  }

  async say(text) {
    await this.sayBytes(encoder.encode(text));
  }

  async sayBytes(bytes) {
    this.#controller?.enqueue(bytes);
    await settled();
  }

  /** The stream ends properly. */
  async end() {
    this.#controller?.close();
    this.#controller = null;
    await settled();
  }

  /** The connection breaks. */
  async cut() {
    this.#break(new TypeError('network error'));
    await settled();
  }

  #break(reason) {
    this.#controller?.error(reason);
    this.#controller = null;
  }

  async #answer(response) {
    this.isAnswered = true;
    this.#resolve(response);
    await settled();
  }

  // What the hub says.

  /** Has the stream begun as the hub does: the delay, the heartbeat, and all is there. */
  async begin(second = 0) {
    await this.stream();
    await this.say(`retry: 1500\n\n${heartbeat(second)}${ready(second)}`);
    return this;
  }

  async update(second, options) {
    await this.say(update(second, options));
  }
}

async function settled() {
  for (let round = 0; round < 4; round += 1) await new Promise((resolve) => setImmediate(resolve));
}

export function idOf(second) {
  return `#${second * 1_000}-0`;
}

export function heartbeat(second) {
  return `event: barestream.heartbeat\nid: ${idOf(second)}\ndata:\n\n`;
}

export function ready(second) {
  return `event: barestream.ready\nid: ${idOf(second)}\ndata: {"empty": []}\n\n`;
}

export function update(second, { topic = 'a', own = '', matches = '0', end = '', data } = {}) {
  const parts = [idOf(second), topic, own, matches, ...(end ? [end] : [])].map((part, index) =>
    index === 0 ? part : encodeURIComponent(part),
  );
  return `data: ${data ?? `data of ${second}`}\nid: ${parts.join(';')}\n\n`;
}

export function gap(second, { from = null, missed = null } = {}) {
  const data = JSON.stringify({ from: from === null ? null : idOf(from), to: idOf(second), missed });
  return `event: barestream.gap\nid: ${idOf(second)}\ndata: ${data}\n\n`;
}

/** An entry of a read. */
export function entry(second, { topic = 'a', matches = [0], ...others } = {}) {
  const id = idOf(second);
  return { id, place: id, topic, type: 'message', data: `data of ${second}`, matches, ...others };
}

export function answer(events, cursor, others = {}) {
  return { events, gap: null, more: false, ended: false, cursor: idOf(cursor), ...others };
}

/** A JWT that nobody checks. */
export function jwt(claims, header = { typ: 'JWT' }) {
  const part = (content) => Buffer.from(JSON.stringify(content)).toString('base64url');
  return `${part(header)}.${part(claims)}.c2lnbmF0dXJl`;
}
