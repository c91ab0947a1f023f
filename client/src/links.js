/**
 * Link after link to the hub, each from where the one before had come: when the next one begins, by
 * what way, and what they bring.
 *
 * An open stream cannot change its topics, so another set of topics begins another link. Where a proxy
 * holds the stream back, reads take its place.
 */

import { includesAll } from './covering.js';
import { IDLE, reasonOf } from './detail.js';
import { Link } from './link.js';
import { stampOf } from './place.js';
import { Progress } from './progress.js';
import { Refusal } from './refusal.js';
import { report } from './report.js';
import { Retry } from './retry.js';
import { Backoff, Slices } from './timing.js';
import { Watchdog } from './watchdog.js';
import { Way } from './way.js';

const CHECK_EACH_MS = 1_000;

// Three times the longest interval of the hub's heartbeats; other servers may have longer ones.
const SILENCE_MS = 90_000;
const SILENCE_OF_OTHERS_MS = 150_000;

// A server that says `retry: 0` would be asked without a pause.
const RETRY_FLOOR_MS = 100;
// A person may have to log in, so there is no hurry; but after a backend's outage nobody waits long.
const DENIED_MS = [10_000, 15_000, 60_000];

export class Links {
  /** @type {import('./detail.js').Detail} */
  detail = IDLE;

  #options;
  #isOurs;
  #on;
  #env;

  #wanted;
  #progress;

  // The attempt that is under way; without one the next may be due.
  #link = null;
  #reopening = null;
  #retry;
  #way;
  #timer = null;
  #backoff;
  #denials;
  #slices;
  #watchdog;

  /**
   * @param {ConstructorParameters<typeof import('./stream.js').Stream>[0]} options
   * @param {object} on what they tell
   * @param {(batch: (import('./raw_event.js').RawEvent | import('./raw_event.js').RawGap)[]) => void} on.onBatch
   * @param {(detail: import('./detail.js').Detail) => void} on.onDetail
   * @param {(keys: string[]) => void} on.onEnded
   * @param {() => void} on.settle isCovered() may say something else
   * @param {any} env
   */
  constructor(options, on, env) {
    const { request, cursor = null, keys } = options;
    this.#isOurs = request.isOurs;
    this.#options = options;
    this.#on = on;
    this.#env = env;
    this.#wanted = [...new Set(keys)];
    this.#progress = new Progress(cursor);
    this.#retry = new Retry(env);
    this.#way = new Way(env);
    this.#backoff = new Backoff(env);
    this.#denials = new Backoff(env, ...DENIED_MS);
    this.#slices = new Slices(env);
    this.#watchdog = new Watchdog(request.isOurs ? SILENCE_MS : SILENCE_OF_OTHERS_MS, env);
  }

  /** @returns {?string} */
  get cursor() {
    return this.#progress.cursor;
  }

  /** Whether there is a link, or another is to come. */
  get isDue() {
    return this.#isAtWork || this.#reopening !== null;
  }

  /** @param {string[]} keys for the next link @returns {boolean} whether they are others than before */
  want(keys) {
    const before = this.#wanted;
    this.#wanted = [...new Set(keys)];
    return !isSame(before, this.#wanted);
  }

  /** @param {string[]} keys @returns {boolean} whether each event of them after the cursor is told */
  isCovered(keys) {
    const link = this.#link;
    // Where nothing is carried, the cursor stays, and the next link carries what is wanted then.
    const isCarried = includesAll(this.#wanted, keys) && includesAll(link?.keys ?? this.#wanted, keys);
    const isPlaced = this.cursor !== null || (!this.#isOurs && link?.isAlive);
    const isEnded = this.detail.state === 'ended' && !link && this.#reopening === null;
    return isCarried && (isPlaced || isEnded);
  }

  /** Begins a link after the present tick, unless there is one that carries what is wanted. */
  openSoon() {
    this.#reopening ??= this.#env.setTimeout(() => {
      this.#reopening = null;
      // Other topics are no reason to ask a hub sooner that has just failed.
      const isWaiting = this.#retry.at !== null && this.#isWanting;
      if (!isWaiting && !(this.#link && isSame(this.#link.keys, this.#wanted))) this.open();
    }, 0);
  }

  /** Begins a link at once, if anything is wanted. */
  open() {
    if (this.#isWanting) return this.#connect();
    // A topic that is wanted later begins then.
    this.#progress.reset(null);
    this.close('idle');
  }

  /**
   * Gives up the link, and those to come.
   * @param {import('./detail.js').Detail['state']} state
   * @param {{reason?: string, status?: number}} [why]
   */
  close(state, why) {
    this.#close();
    this.#set(state, why);
  }

  /** Does what is due by the wall clock. */
  check() {
    const link = this.#link;
    if (!link) {
      if (this.#retry.isDue) this.#connect();
    } else if (link.via === 'reads' && this.#way.isOver) {
      this.#tryStream();
    } else if (this.#watchdog.isSilent()) {
      this.#loseSilent(link);
    } else {
      this.#renewAhead(link);
    }
  }

  offline() {
    if (this.#link) this.#lose({ message: 'offline' });
    else if (this.#isAtWork) this.#set('offline', { retryAt: this.#retry.at });
  }

  online() {
    this.#backoff.reset();
    if (!this.#isAtWork) return;
    if (this.#way.via === 'reads') this.#tryStream();
    else if (this.#link) this.check();
    else this.#connect();
  }

  // --- link after link

  get #isWanting() {
    // Another server may be asked for no topics, and has its own.
    return this.#wanted.length > 0 || !this.#isOurs;
  }

  get #isAtWork() {
    return this.#link !== null || this.#retry.at !== null;
  }

  /** Begins another link, from where the one before had come. */
  #connect() {
    this.#close();
    const options = {
      ...this.#options,
      keys: this.#wanted,
      via: this.#way.via,
      cursor: () => this.cursor,
      watchdog: this.#watchdog,
      slices: this.#slices,
    };
    const on = { open: () => this.#opened(link), raws: (raws) => this.#tell(link, raws) };
    const link = new Link(options, on, this.#env);
    this.#link = link;
    this.#progress.reconnect();
    this.#run(link);
    this.#checkLater();
    this.#on.settle();
    this.#set(this.#isOffline ? 'offline' : 'connecting');
  }

  #close() {
    this.#link?.giveUp();
    this.#link = null;
    this.#retry.cancel();
    this.#env.clearTimeout(this.#timer);
    this.#env.clearTimeout(this.#reopening);
    this.#reopening = null;
  }

  #checkLater() {
    this.#env.clearTimeout(this.#timer);
    if (!this.#isAtWork) return;
    const delayMs = this.#link ? CHECK_EACH_MS : Math.min(this.#retry.untilMs, CHECK_EACH_MS);
    this.#timer = this.#env.setTimeout(() => {
      this.check();
      this.#checkLater();
    }, delayMs);
  }

  async #run(link) {
    try {
      const { isOver, retryMs } = await link.run();
      if (link.signal.aborted) return;
      if (isOver) this.#end(link);
      else this.#lose({ message: link.turnedAway ?? 'the stream ended', retryMs });
    } catch (error) {
      // What a link says that was given up counts no more.
      if (link.signal.aborted) return;
      if (error.isFinal || (error instanceof Refusal && error.status !== 401)) this.#lose(error);
      // The hub does not take the token, or the page has none.
      else this.#wait('denied', { reason: reasonOf(error), status: link.status }, this.#denials.next());
    }
  }

  #opened(link) {
    // The hub sends an event at once, but another server may have nothing to say for long.
    if (this.#isOurs || link.turnedAway) return;
    this.#accepted(link);
    this.#on.settle();
    this.#set('live');
  }

  #accepted(link) {
    this.#denials.reset();
    if (!link.isAlive) this.#watchdog.heard();
    link.isAlive = true;
  }

  #tell(link, raws) {
    const isFirst = !link.isAlive;
    this.#accepted(link);
    this.#backoff.reset();
    if (link.via === 'stream') this.#way.noteEvent();
    if (isFirst) this.#set('catching up');
    // Whoever is told may stop this stream; then the next one is sent all of it.
    if (link.signal.aborted) return;
    const batch = raws.filter((raw) => this.#take(link, raw));
    if (batch.length > 0) this.#call(this.#on.onBatch, batch);
    if (!link.signal.aborted && raws.some(({ kind }) => kind === 'ready')) this.#set('live');
  }

  #take(link, raw) {
    const { kind, place } = raw;
    const hasBegun = this.cursor !== null;
    const isNew = this.#progress.take(raw);
    // What follows the first id is told already.
    if (!hasBegun) this.#on.settle();
    if (kind === 'heartbeat' && link.via === 'stream') this.#watchdog.beat();
    if (!this.#isOurs) this.#watchdog.stamp(kind === 'event' ? stampOf(place) : null);
    return isNew && kind !== 'ready' && kind !== 'heartbeat';
  }

  // --- how a link ends

  #end({ keys }) {
    this.close('ended');
    this.#call(this.#on.onEnded, keys);
    this.#on.settle();
  }

  #lose({ message: reason, status = null, retryMs = null, retryAfterMs = null, isFinal = false }) {
    if (isFinal) return this.close('denied', { reason, status });
    // The server's own delay is random already.
    const delayMs =
      retryMs === null
        ? this.#backoff.next() + (retryAfterMs ?? 0)
        : Math.max(retryMs, RETRY_FLOOR_MS);
    // It retries while offline too: a machine without a network still reaches its localhost, and a
    // browser in a virtual machine may be wrong about the network.
    this.#wait(this.#isOffline ? 'offline' : 'waiting', { reason, status }, delayMs);
  }

  #loseSilent(link) {
    this.#watchdog.forget();
    const isHeldBack =
      this.#isOurs && link.shown && !link.isAlive && !link.turnedAway && link.via === 'stream';
    if (isHeldBack && !this.#isOffline && this.#way.noteSilence()) {
      this.#connect();
    } else {
      this.#lose({ message: link.shown ? 'nothing came in time' : 'no token came in time' });
    }
  }

  #tryStream() {
    this.#way.tryStream();
    this.#connect();
  }

  /** Asks for another token before this one ends, and opens the stream anew with it. */
  async #renewAhead(link) {
    const { token } = this.#options;
    if (!link.shown || !token.endsSoon) return;
    const headers = await token.headers().catch(() => link.shown);
    if (link.signal.aborted) return;
    if (headers !== link.shown) this.#connect();
    else this.#set(this.detail.state, { reason: token.problem });
  }

  #wait(state, why, delayMs) {
    this.#close();
    this.#retry.wait(delayMs);
    this.#checkLater();
    this.#set(state, { ...why, retryAt: this.#retry.at });
  }

  // --- what is told

  #set(state, { reason = null, status = null, retryAt = null } = {}) {
    const { via } = this.#way;
    const why = reason ?? (via === 'reads' ? 'a proxy holds streams back' : null);
    const detail = { state, reason: why, retryAt, status, via };
    if (JSON.stringify(detail) === JSON.stringify(this.detail)) return;
    this.detail = detail;
    this.#call(this.#on.onDetail, detail);
  }

  #call(listener, argument) {
    try {
      listener(argument);
    } catch (error) {
      report(error, this.#env);
    }
  }

  get #isOffline() {
    return this.#env.navigator?.onLine === false;
  }
}

function isSame(some, others) {
  return some.length === others.length && includesAll(some, others);
}
