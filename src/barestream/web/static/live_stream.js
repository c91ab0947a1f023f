/**
 * One robust live stream over EventSource, without any user interface.
 *
 * The browser's own reconnecting is not used: any status but 200 ends it for good, it has no
 * jitter, it hides its delay, and it does not notice an open stream that is dead. So each
 * EventSource is used for one connection, and this module makes the next one, with the cursor
 * in the query.
 */

import { StreamState } from './stream_state.js';

const CONNECT_TIMEOUT_MS = 15_000;
const CHECK_EACH_MS = 1_000;

const SILENT_INTERVALS = 3;
const SILENCE_FLOOR_MS = 10_000;
const SILENCE_OF_UNKNOWN_INTERVAL_MS = 150_000;

const RETRY_FLOOR_MS = 1_000;
const FIRST_RETRY_CEILING_MS = 3_000;
// After an outage, a viewer waits at most this long for the service that is back.
const RETRY_CEILING_MS = 10_000;

/**
 * The place in the server's history that an id names.
 * @param {?string} id such as `#1795363200000-0`
 * @returns {?{ms: number, seq: number}} null where the id names none
 */
export function placeOf(id) {
  const match = /^#(\d+)-(\d+)$/.exec(id ?? '');
  return match && { ms: Number(match[1]), seq: Number(match[2]) };
}

/**
 * Whether an event comes after a cursor. Ids that name no place have no order; their events count
 * as new.
 * @param {?string} id
 * @param {?string} cursor
 */
export function isAfter(id, cursor) {
  const place = placeOf(id);
  const last = placeOf(cursor);
  if (!place || !last) return true;
  return place.ms > last.ms || (place.ms === last.ms && place.seq > last.seq);
}

/**
 * Whether the step from one id to another leads to an earlier place.
 * @param {?string} from
 * @param {?string} id
 */
export function leadsBack(from, id) {
  return placeOf(from) !== null && placeOf(id) !== null && isAfter(from, id);
}

/**
 * Dispatches events:
 * - `statechange`, detail `{state, retryAtMs}`: state is `connecting`, `live`,
 *   `reconnecting`, `offline` or `stopped`; retryAtMs is set while it waits for a retry.
 * - `message`, detail `{id, data, receivedAtMs, isSnapshot}`: isSnapshot marks the newest
 *   event, which a client without a cursor gets at once, at any age.
 * - `gap`, detail `{id, missed, isBack}`: events were lost, because the server no longer has
 *   them; missed is their number, or null if the server does not know it. isBack marks a gap that
 *   leads to an earlier place: the server's clock was set back, and the events that follow are new
 *   although their ids are not.
 */
export class LiveStream extends StreamState {
  #url;
  #window;
  #cursor;
  #droppedCount = 0;

  #listening = null;
  #timer = null;
  #source = null;
  #failures = 0;

  #checkedAtMs = 0;
  #dueAtMs = 0;
  #overdueSinceMs = null;

  #lastStampMs = null;
  #lastIntervalsMs = [];

  /**
   * @param {string} url of the stream
   * @param {object} [options]
   * @param {?string} [options.cursor] id of the last event that was shown before
   * @param {Window} [options.window] source of EventSource, timers, Date, Math, navigator and
   *   the page's events
   */
  constructor(url, { cursor = null, window = globalThis } = {}) {
    super();
    this.#url = url;
    this.#cursor = cursor;
    this.#window = window;
  }

  /** Id of the last event that was dispatched. */
  get cursor() {
    return this.#cursor;
  }

  /** How many events were not dispatched, because they or later ones had been. */
  get droppedCount() {
    return this.#droppedCount;
  }

  /** Connects, from the cursor if there is one, and stays connected until stop(). */
  start() {
    if (this.#listening) return;
    this.#listening = new AbortController();
    const on = (type, listener) =>
      this.#window.addEventListener(type, listener, { signal: this.#listening.signal });
    on('offline', () => this.#lose('offline'));
    on('online', () => this.#hurry());
    on('visibilitychange', () => this.check());
    on('pagehide', () => this.#pause());
    on('pageshow', (event) => (event.persisted ? this.#connect('connecting') : this.check()));

    this.#failures = 0;
    this.#checkedAtMs = this.#now();
    this.#connect('connecting');
    this.#checkLater();
  }

  /** Disconnects. start() resumes from the cursor. */
  stop() {
    this.#listening?.abort();
    this.#listening = null;
    this.#window.clearTimeout(this.#timer);
    this.#close();
    this.setState('stopped');
  }

  /**
   * Does what is due by the wall clock, because timers stop while a laptop sleeps, and run late
   * in a hidden tab.
   */
  check() {
    if (!this.#listening) return;
    const nowMs = this.#now();
    const stepBackMs = Math.max(0, this.#checkedAtMs - nowMs);
    this.#checkedAtMs = nowMs;
    if (this.#source) {
      this.#dueAtMs -= stepBackMs;
      this.#watch(nowMs);
    } else if (this.retryAtMs !== null && (nowMs >= this.retryAtMs || stepBackMs > 0)) {
      this.#connect(this.state);
    }
  }

  #watch(nowMs) {
    if (nowMs < this.#dueAtMs) {
      this.#overdueSinceMs = null;
    } else if (this.#overdueSinceMs === null) {
      // A tab that wakes may have events queued behind this check, so only a second check
      // counts as silence.
      this.#overdueSinceMs = nowMs;
    } else if (nowMs - this.#overdueSinceMs >= CHECK_EACH_MS) {
      this.#lose();
    }
  }

  #checkLater() {
    if (!this.#listening) return;
    const untilRetryMs = (this.retryAtMs ?? Infinity) - this.#now();
    this.#window.clearTimeout(this.#timer);
    this.#timer = this.#window.setTimeout(
      () => {
        this.check();
        this.#checkLater();
      },
      Math.max(0, Math.min(untilRetryMs, CHECK_EACH_MS)),
    );
  }

  #connect(state) {
    this.#close();
    this.#expectWithin(CONNECT_TIMEOUT_MS);
    const source = new this.#window.EventSource(this.#address());
    this.#source = source;
    const on = (type, listener) =>
      source.addEventListener(type, (event) => {
        if (source === this.#source) listener(event);
      });
    on('open', () => this.#expectFirstEvent());
    on('message', (event) => this.#receiveMessage(event));
    on('barestream.gap', (event) => this.#receiveGap(event));
    on('error', () => this.#lose());
    this.setState(state);
  }

  #address() {
    if (this.#cursor === null) return this.#url;
    const separator = this.#url.includes('?') ? '&' : '?';
    return `${this.#url}${separator}lastEventID=${encodeURIComponent(this.#cursor)}`;
  }

  #expectFirstEvent() {
    // The server sends a client without a cursor the newest event at once. A client that
    // resumes may have missed nothing, and waits for the next event.
    this.#expectWithin(this.#cursor === null ? CONNECT_TIMEOUT_MS : this.#silenceLimitMs());
  }

  #receiveMessage({ lastEventId: id, data }) {
    const isSnapshot = this.#cursor === null;
    if (!this.#advance(id, placeOf(id)?.ms ?? null)) return;
    this.emit('message', { id, data, receivedAtMs: this.#now(), isSnapshot });
  }

  #receiveGap({ lastEventId: id, data }) {
    const { from, missed = null } = gapOf(data);
    const isBack = leadsBack(from, id);
    // The time across a gap is no interval, so it has no stamp.
    if (!this.#advance(id, null, { isBack })) return;
    this.emit('gap', { id, missed, isBack });
  }

  #advance(id, stampMs, { isBack = false } = {}) {
    const isNew = isAfter(id, this.#cursor) || (isBack && id !== this.#cursor);
    if (isNew) {
      this.#learnInterval(stampMs);
      this.#cursor = id || this.#cursor;
    } else {
      this.#droppedCount += 1;
    }
    this.#failures = 0;
    this.#expectWithin(this.#silenceLimitMs());
    this.setState('live');
    return isNew;
  }

  #learnInterval(stampMs) {
    if (stampMs !== null && this.#lastStampMs !== null) {
      this.#lastIntervalsMs = [stampMs - this.#lastStampMs, ...this.#lastIntervalsMs].slice(0, 2);
    }
    this.#lastStampMs = stampMs;
  }

  #silenceLimitMs() {
    if (this.#lastIntervalsMs.length < 2) return SILENCE_OF_UNKNOWN_INTERVAL_MS;
    // The smaller of two: one long interval may be a jump, two are the server's new interval.
    const intervalMs = Math.min(...this.#lastIntervalsMs);
    return Math.max(SILENT_INTERVALS * intervalMs, SILENCE_FLOOR_MS);
  }

  #expectWithin(limitMs) {
    this.#overdueSinceMs = null;
    this.#dueAtMs = this.#now() + limitMs;
  }

  #hurry() {
    if (this.#source) {
      this.check();
      return;
    }
    this.#failures = 0;
    this.#connect('reconnecting');
  }

  #lose(state = this.#window.navigator.onLine ? 'reconnecting' : 'offline') {
    this.#close();
    this.#failures += 1;
    // Retry while offline too: a machine without a network still reaches its localhost, and a
    // browser in a virtual machine may be wrong about the network.
    this.setState(state, this.#now() + this.#retryDelayMs());
    this.#checkLater();
  }

  #retryDelayMs() {
    const ceilingMs = Math.min(FIRST_RETRY_CEILING_MS * 2 ** (this.#failures - 1), RETRY_CEILING_MS);
    return RETRY_FLOOR_MS + this.#window.Math.random() * (ceilingMs - RETRY_FLOOR_MS);
  }

  #pause() {
    // An open stream would keep the page out of the back/forward cache.
    this.#close();
    this.setState('connecting');
  }

  #close() {
    this.#source?.close();
    this.#source = null;
  }

  #now() {
    return this.#window.Date.now();
  }
}

function gapOf(data) {
  try {
    return JSON.parse(data) ?? {};
  } catch {
    return {};
  }
}

