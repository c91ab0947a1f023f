/**
 * One stream for all tabs of a browser: over HTTP/1.1 a browser opens at most six connections
 * to an origin, and six tabs with a stream each would leave none for other requests.
 *
 * The tab that holds a Web Lock is the leader: it has the LiveStream, and posts its events to the
 * other tabs, the followers, on a BroadcastChannel. Followers queue for the lock, so when the leader
 * goes, the next tab leads, from its own cursor. A follower hails the leader with its cursor, at once
 * and then every few seconds, and the leader sends the events that it lacks. So a lost message is
 * repeated, and a leader that does not answer is noticed.
 */

import { LiveStream, isAfter, leadsBack, placeOf } from './live_stream.js';
import { StreamState } from './stream_state.js';

const HAIL_EACH_MS = 5_000;
const HAILS_BEFORE_STEAL = 3;

// Five minutes of ticks. For a follower that lacks more, the leader resumes from the server's history.
const RECENT_ENTRIES = 300;

/**
 * Returns a SharedStream if the browser supports it, or else a LiveStream of this tab's own: Web
 * Locks exist only on https and on localhost.
 * @param {string} url of the stream
 * @param {object} [options] as LiveStream takes them
 * @returns {SharedStream|LiveStream} both have the same interface
 */
export function openStream(url, options = {}) {
  const { window = globalThis } = options;
  const canShare = window.navigator.locks && window.BroadcastChannel;
  return canShare ? new SharedStream(url, options) : new LiveStream(url, options);
}

/** Has the events, the methods and the properties of LiveStream. */
export class SharedStream extends StreamState {
  #url;
  #window;
  #name;
  #id;
  #cursor;
  #droppedCount = 0;

  #listening = null;
  #channel = null;
  #candidacy = null;
  #live = null;
  #leaderId = null;
  #unanswered = 0;
  #timer = null;

  #recent = [];
  #recentSince;
  #recentIsAfterSetBack = false;

  /**
   * @param {string} url of the stream
   * @param {object} [options]
   * @param {?string} [options.cursor] id of the last event that this tab showed before
   * @param {Window} [options.window] as LiveStream takes it, with navigator.locks,
   *   BroadcastChannel and document
   */
  constructor(url, { cursor = null, window = globalThis } = {}) {
    super();
    this.#url = url;
    this.#window = window;
    this.#cursor = cursor;
    this.#recentSince = placeOf(cursor) && cursor;
    // Tabs of another release may use other messages, so each release has a name of its own.
    this.#name = `${import.meta.url} ${url}`;
    this.#id = String(window.Math.random());
  }

  /** Id of the last event that was dispatched in this tab. */
  get cursor() {
    return this.#cursor;
  }

  /** How many events were not dispatched, because they or later ones had been. */
  get droppedCount() {
    return this.#droppedCount + (this.#live?.droppedCount ?? 0);
  }

  /** Joins the shared stream, from the cursor if there is one, until stop(). */
  start() {
    if (this.#listening) return;
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    // In the capture phase, because freeze and resume go to the document and do not bubble.
    const on = (type, listener) =>
      this.#window.addEventListener(type, listener, { signal, capture: true });
    on('visibilitychange', () => this.#hailIfSeen());
    // A frozen page cannot lead, and its lock and channel would keep it out of the
    // back/forward cache.
    on('freeze', () => this.#leave());
    on('resume', () => this.#join());
    on('pagehide', () => this.#leave());
    on('pageshow', () => this.#join());
    this.#join();
  }

  /** Leaves the stream to the other tabs. start() resumes from the cursor. */
  stop() {
    this.#listening?.abort();
    this.#listening = null;
    this.#leave();
    this.setState('stopped');
  }

  #join() {
    if (this.#channel) return;
    this.setState('connecting');
    this.#channel = new this.#window.BroadcastChannel(this.#name);
    this.#channel.onmessage = (event) => this.#hear(event.data);
    this.#campaign();
    this.#hail();
    this.#hailLater();
  }

  #leave() {
    this.#resign();
    this.#window.clearTimeout(this.#timer);
    this.#channel?.close();
    this.#channel = null;
    this.#leaderId = null;
  }

  async #campaign({ steal = false } = {}) {
    const candidacy = new AbortController();
    this.#candidacy = candidacy;
    const { signal } = candidacy;
    try {
      await this.#window.navigator.locks.request(
        this.#name,
        steal ? { steal } : { signal },
        () => (signal.aborted ? undefined : this.#lead(signal)),
      );
    } catch (error) {
      if (signal.aborted) return;
      if (error.name === 'AbortError') {
        // Another tab got no answer from this one, and has stolen the lock.
        this.#resign();
        this.#campaign();
      } else {
        // A browser may refuse locks, for instance if it stores no data of the site.
        this.#lead(signal);
      }
    }
  }

  #lead(signal) {
    this.#leaderId = null;
    this.#post({ type: 'elected' });
    this.#openLive(this.#cursor);
    return new Promise((resolve) => signal.addEventListener('abort', resolve));
  }

  #resign() {
    this.#candidacy?.abort();
    this.#candidacy = null;
    this.#closeLive();
  }

  #openLive(cursor) {
    const live = new LiveStream(this.#url, { cursor, window: this.#window });
    this.#live = live;
    const on = (type, listener) =>
      live.addEventListener(type, ({ detail }) => {
        if (live === this.#live) listener(detail);
      });
    on('statechange', ({ state, retryAtMs }) => {
      this.setState(state, retryAtMs);
      this.#tell(null, []);
    });
    on('message', (detail) => this.#publish({ type: 'message', detail }));
    on('gap', (detail) => this.#publish({ type: 'gap', detail }));
    live.start();
  }

  #closeLive() {
    const live = this.#live;
    this.#live = null;
    live?.stop();
    this.#droppedCount += live?.droppedCount ?? 0;
  }

  #publish(entry) {
    this.#remember(entry);
    this.#tell(null, [entry]);
    this.#show(entry);
  }

  #hear(message) {
    if (message.type === 'hail') {
      if (this.#live) this.#answer(message);
    } else if (this.#live) {
      return;
    } else if (message.type === 'elected') {
      this.#leaderId = null;
      this.#hail();
    } else if (message.to === this.#id || (message.to === null && message.from === this.#leaderId)) {
      this.#follow(message);
    }
  }

  #answer({ from, cursor }) {
    // The leader may be hidden, and its timers late; the tab that hails may be visible.
    this.#live.check();
    const lacksMore =
      placeOf(cursor) && (this.#recentSince === null || isAfter(this.#recentSince, cursor));
    if (lacksMore) this.#rewind(cursor);
    this.#tell(from, this.#entriesAfter(cursor));
  }

  #rewind(cursor) {
    this.#closeLive();
    this.#recent = [];
    this.#recentSince = cursor;
    this.#recentIsAfterSetBack = false;
    this.#openLive(cursor);
  }

  #entriesAfter(cursor) {
    // This tab has not received the gap by which the clock was set back.
    if (this.#recentIsAfterSetBack && leadsBack(cursor, this.#cursor)) return this.#recent;
    if (cursor !== null) return this.#recent.filter(({ detail }) => isAfter(detail.id, cursor));
    const newest = this.#recent.findLast(({ type }) => type === 'message');
    return newest ? [{ ...newest, detail: { ...newest.detail, isSnapshot: true } }] : [];
  }

  #follow({ from, entries, state, retryAtMs }) {
    this.#leaderId = from;
    this.#unanswered = 0;
    this.setState(state, retryAtMs);
    for (const entry of entries) {
      if (this.#show(entry)) this.#remember(entry);
    }
  }

  #remember(entry) {
    const { id } = entry.detail;
    if (!placeOf(id)) return;
    if (entry.detail.isBack) {
      this.#recent = [];
      this.#recentSince = id;
      this.#recentIsAfterSetBack = true;
    }
    this.#recentSince ??= id;
    this.#recent.push(entry);
    if (this.#recent.length > RECENT_ENTRIES) {
      this.#recentSince = this.#recent.shift().detail.id;
      this.#recentIsAfterSetBack = false;
    }
  }

  #show({ type, detail }) {
    const isNew = isAfter(detail.id, this.#cursor) || (detail.isBack && detail.id !== this.#cursor);
    if (!isNew) {
      this.#droppedCount += 1;
      return false;
    }
    this.#cursor = detail.id || this.#cursor;
    this.emit(type, detail);
    return true;
  }

  #hail() {
    if (this.#channel && !this.#live) this.#post({ type: 'hail', cursor: this.#cursor });
  }

  #hailIfSeen() {
    if (this.#window.document.visibilityState === 'visible') this.#hail();
  }

  #hailLater() {
    this.#timer = this.#window.setTimeout(() => {
      if (!this.#live && this.#window.document.visibilityState === 'visible') this.#pressOn();
      this.#hailLater();
    }, HAIL_EACH_MS);
  }

  #pressOn() {
    if (this.#unanswered < HAILS_BEFORE_STEAL) {
      this.#unanswered += 1;
      this.#hail();
    } else {
      this.#unanswered = 0;
      this.#candidacy.abort();
      this.#campaign({ steal: true });
    }
  }

  #tell(to, entries) {
    const [state, retryAtMs] = [this.state, this.retryAtMs];
    this.#post({ type: 'update', to, entries, state, retryAtMs });
  }

  #post(message) {
    this.#channel.postMessage({ ...message, from: this.#id });
  }
}
