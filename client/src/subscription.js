/**
 * What one part of a page wants to be told: first what was before, then what comes.
 *
 * The stream carries the topics of all subscriptions, from its cursor on. What a subscription needs
 * from before it gets by reads that end, asked once the stream covers its topics. Meanwhile the
 * stream's updates are held; then those after the read follow. Each subscription has a position,
 * and drops what is at or before it. So nothing is missed, and nothing comes twice.
 */

import { insist } from './asking.js';
import { DeniedError } from './denied_error.js';
import { reasonOf } from './detail.js';
import { EventQueue } from './event_queue.js';
import { HubEvent } from './hub_event.js';
import { isAfter, parseId } from './place.js';
import { Progress } from './progress.js';
import { Backoff, pause } from './timing.js';

// Callbacks for so many events take some milliseconds; then the page may paint.
const BATCH_EVENTS = 500;
// An update of 1 KB each makes 10 MB. What comes beyond it is read again instead, once there is room.
const MOST_WAITING = 10_000;
export class Subscription {
  #host;
  #keys;
  #options;
  #part;
  #queues = [];

  #progress = new Progress(null);
  #ended = new Set();

  #run = null;
  // Updates of the stream that wait for a read; null while live.
  #held = [];
  #isStale = false;
  #isTelling = false;
  #isClosed = false;

  /**
   * @param {any} host the hub's side: env, hasReads, add(), remove(), source(),
   *   pages(), replay(), cursor(), changed(), denial(), report()
   * @param {(string | {pattern: string})[]} topics
   * @param {string[]} keys of the topics
   * @param {any} options as subscribe() takes them
   */
  constructor(host, topics, keys, options) {
    this.topics = topics;
    this.#host = host;
    this.#keys = keys;
    this.#options = options;
    this.#part = {
      keys,
      refusal: null,
      problem: null,
      isReading: () => this.#held !== null,
      begin: () => this.#beginAnew(),
      receive: (batch) => this.#receive(batch),
      ended: (ended) => this.#noteEnded(ended),
      hole: () => this.#onHole(),
      deny: (error) => this.#deny(error),
      close: () => this.close(),
    };
    const { signal } = options;
    this.#isClosed = signal?.aborted ?? false;
    if (this.#isClosed) return;
    signal?.addEventListener('abort', this.#onAbort);
    host.add(this.#part);
    this.#beginAnew();
  }

  /** Up to where the page was told: `from` of the subscription after a reload. @returns {?string} */
  get cursor() {
    const late = this.#queues.find(({ size }) => size > 0);
    if (late) return late.cursor;
    if (this.#held || this.#isTelling || this.#isClosed) return this.#progress.cursor;
    const newest = this.#host.cursor(this.#part);
    return parseId(newest) && isAfter(parseId(newest).place, this.#progress.place) ? newest : this.#progress.cursor;
  }

  close() {
    this.#close(false);
  }

  /** @returns {AsyncIterator<HubEvent>} leaving the loop closes the subscription */
  [Symbol.asyncIterator]() {
    const queue = new EventQueue(() => this.close());
    queue.cursor = this.#progress.cursor;
    const denial = this.#part.refusal ?? this.#host.denial();
    if (denial || this.#isClosed) queue.end(denial);
    this.#queues.push(queue);
    return queue;
  }

  #onAbort = () => this.close();

  // --- what was before

  #beginAnew() {
    this.#progress = new Progress(null);
    this.#held = [];
    this.#ended.clear();
    this.#part.refusal = this.#part.problem = null;
    for (const queue of this.#queues) queue.clear();
    this.#begin(null, true);
  }

  #begin(gap, isAnew) {
    this.#run?.abort();
    this.#run = new AbortController();
    const { signal } = this.#run;
    this.#held ??= [];
    this.#host.changed();
    this.#catchUp(gap, isAnew, signal).catch((error) => {
      if (!signal.aborted) this.#refused(error);
    });
  }

  async #catchUp(gap, isAnew, signal) {
    const { getState, rewind, from = null } = this.#options;
    const { env, hasReads } = this.#host;
    const backoff = new Backoff(env);
    do {
      let start = isAnew ? from : this.#progress.cursor;
      if (isAnew && getState) start = await this.#askState(gap, signal);
      if (signal.aborted) return;
      const source = await this.#host.source(this.#part, start, isAnew);
      if (signal.aborted) return;
      const covered = await source.covered(this.#keys);
      if (signal.aborted) return;
      gap = null;
      if (start === null && !rewind) {
        this.#progress.reset(covered);
        this.#isStale &&= covered !== null;
      } else {
        this.#isStale = false;
        if (hasReads) gap = await this.#read({ rewind, last_event_id: start }, signal);
        else await this.#replay(start, covered, signal);
      }
      if (signal.aborted) return;
      // A state that is again too old is not asked for in a hurry.
      if (gap) await pause(backoff.next(), signal, env);
      isAnew = gap !== null;
    } while (isAnew || this.#isStale);
    await this.#tellHeld(signal);
  }

  /** Returns the state's cursor. */
  #askState(gap, signal) {
    const ask = async () => {
      const { state, cursor } = await this.#options.getState(gap && gapOf(gap), signal);
      signal.throwIfAborted();
      if (typeof cursor !== 'string') throw new TypeError('cursor must be a string');
      this.#setProblem(null);
      this.#call('onState', state);
      return cursor;
    };
    const onError = (error) => {
      this.#host.report(error);
      this.#setProblem(`getState: ${reasonOf(error)}`);
      // Of the hub's own lists: whoever may not read one, may not in a moment either.
      return error.isFinal && error.status === 403;
    };
    return insist(ask, onError, signal, this.#host.env);
  }

  #setProblem(problem) {
    this.#part.problem = problem;
    this.#host.changed();
  }

  /** Returns the gap after which the state must be asked for again, or null. */
  async #read(params, signal) {
    let isRewind = params.rewind && !params.last_event_id;
    for await (const { events, gap, ended, cursor } of this.#host.pages(this.#keys, params, signal)) {
      if (signal.aborted) return null;
      if (gap) {
        this.#call('onGap', gapOf(gap));
        if (this.#options.getState) return gap;
        isRewind ||= Boolean(params.rewind);
      }
      while (events.length) {
        await this.#room();
        if (signal.aborted) return null;
        this.#tell(events.splice(0, BATCH_EVENTS), isRewind);
        if (events.length) await pause(0, signal, this.#host.env);
        if (signal.aborted) return null;
      }
      this.#progress.reset(cursor);
      isRewind = false;
      if (ended) {
        this.#finish();
        return null;
      }
    }
    return null;
  }

  /** Where there are no reads: what other tabs were told before comes by a stream of its own. */
  #replay(start, end, signal) {
    this.#progress.reset(start);
    if (end === start || !isAfter(end, start)) return;
    const isLast = ({ place, cursor }) => cursor === end || !isAfter(end, place);
    return this.#host.replay(this.#keys, start, { isLast, pass: (batch) => this.#pass(batch), signal });
  }

  async #room() {
    for (const queue of this.#queues) await queue.room(MOST_WAITING);
  }

  async #tellHeld(signal) {
    while (this.#held.length) {
      await this.#room();
      if (signal.aborted) return;
      this.#pass(this.#held.splice(0, BATCH_EVENTS));
      if (this.#held?.length) await pause(0, signal, this.#host.env);
      if (signal.aborted) return;
    }
    this.#held = null;
    this.#host.changed();
    this.#noteEnded([]);
  }

  // --- what comes

  #receive(batch) {
    this.#progress.reconnect();
    if (!this.#held) return this.#pass(batch);
    // Where the clock was set back, what is held and what is read are of the time before.
    const back = batch.findLastIndex((raw) => raw.isBack && isAfter(this.#progress.place, raw.place));
    if (back >= 0) {
      this.#held = [];
      this.#pass(batch.slice(back));
    } else {
      for (const raw of batch) this.#held.push(raw);
      if (this.#held.length > MOST_WAITING && this.#host.hasReads) this.#onHole();
    }
  }

  #onHole() {
    if (!this.#held) return this.#begin(null, false);
    if (this.#host.hasReads) this.#held = [];
    this.#isStale = true;
  }

  #pass(batch) {
    const fresh = [];
    for (const [index, raw] of batch.entries()) {
      if (raw.kind === 'gap') {
        const run = this.#run;
        this.#tell(fresh.splice(0));
        if (this.#isClosed) return;
        const isAsBefore = run === this.#run;
        if (isAsBefore) this.#passGap(raw);
        if (run !== this.#run) {
          // It is being read anew; what follows waits for that.
          this.#held = [...batch.slice(index + Number(isAsBefore)), ...this.#held];
          return;
        }
      } else if (this.#isMine(raw) && this.#progress.take(raw)) {
        fresh.push(raw);
      }
    }
    this.#tell(fresh);
  }

  /** A stream that is asked for no topic, such as an app's own, has only what is for its one subscription. */
  #isMine({ keys }) {
    return this.#keys.length === 0 || !keys || keys.some((key) => this.#keys.includes(key));
  }

  #passGap(gap) {
    const { getState, rewind } = this.#options;
    // Two tabs may be told of one gap, and a read may have been past it.
    if (!this.#progress.take(gap)) return;
    this.#call('onGap', gapOf(gap));
    // Without either it is read what came since, because an end may be among what was missed.
    const isAnew = Boolean(getState || rewind);
    if (!this.#isClosed && (getState || this.#host.hasReads)) this.#begin(gap, isAnew);
  }

  // --- the page

  /** Of a rewind no part can be resumed from, so the cursor stays until all was told. */
  #tell(raws, isRewind = false) {
    if (raws.length === 0) return;
    const run = this.#run;
    const events = raws.map((raw) => new HubEvent(raw));
    const cursorAt = (index) => (isRewind ? null : raws[index].cursor) ?? this.#progress.cursor;
    // A callback may close this, or have the hub begin anew for another user.
    const isOver = () => run !== this.#run || this.#isClosed;
    this.#isTelling = true;
    for (const [index, event] of events.entries()) {
      this.#progress.cursor = cursorAt(index);
      this.#call('onEvent', event);
      if (isOver()) break;
    }
    if (!isOver()) this.#call('onEvents', events);
    this.#isTelling = false;
    if (isOver()) return;
    const entries = events.map((event, index) => ({ event, cursor: cursorAt(index) }));
    for (const queue of this.#queues) queue.push(entries);
    this.#noteEnded(raws.filter(({ ends }) => ends).map(({ topic }) => topic));
    // A read waits for the loop that is too slow.
    if (!this.#held && this.#queues.some(({ size }) => size > MOST_WAITING)) this.#onHole();
  }

  #noteEnded(keys) {
    for (const key of keys) this.#ended.add(key);
    const isOver = this.#keys.length && this.#keys.every((key) => this.#ended.has(key));
    if (isOver && !this.#held) this.#finish();
  }

  #finish() {
    if (this.#isClosed) return;
    this.#call('onEnd');
    this.#close(true);
  }

  #close(hasEnded) {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#run?.abort();
    this.#held = [];
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    for (const queue of this.#queues) queue.end();
    this.#host.remove(this.#part, hasEnded);
  }

  #refused(error) {
    this.#part.refusal = new DeniedError(error.message, error.status);
    this.#host.report(error);
    this.#host.changed();
    this.#deny(this.#part.refusal);
  }

  /** Whoever has only callbacks may still go on as another user. */
  #deny(error) {
    for (const queue of this.#queues) queue.end(error);
    if (this.#queues.length) this.close();
  }

  #call(name, value) {
    try {
      this.#options[name]?.(value)?.catch?.((error) => this.#host.report(error));
    } catch (error) {
      this.#host.report(error);
    }
  }
}

function gapOf({ missed, from, isBack }) {
  return { missed, from, isBack };
}
