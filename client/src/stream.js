/**
 * One robust stream, which carries any number of topics and resumes from its cursor, for ever.
 *
 * An open stream cannot change its topics, so another set of topics opens it anew: link after link,
 * each from where the one before had come. It never asks for a rewind: what a subscription needs from
 * before is read by answers that end (reads.js). Where a proxy holds the stream back, reads take its
 * place.
 */

import { Covering, includesAll } from './covering.js';
import { IDLE, reasonOf } from './detail.js';
import { Link } from './link.js';
import { watchPage } from './page.js';
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

export class Stream {
  /** @type {(batch: (import('./raw_event.js').RawEvent | import('./raw_event.js').RawGap)[]) => void} */
  onBatch = () => {};
  /** @type {(detail: import('./detail.js').Detail) => void} */
  onDetail = () => {};
  /** All of these topics have ended. @type {(keys: string[]) => void} */
  onEnded = () => {};

  #request;
  #token;
  #credentials;
  #client;
  #env;

  #wanted;
  #covering = new Covering();
  #progress;
  /** @type {import('./detail.js').Detail} */
  #detail = IDLE;

  #listening = null;
  #isPaused = false;
  // Whether there is something to do once the page is back.
  #isDue = false;
  #reopening = null;

  // The attempt that is under way; without one the next may be due.
  #link = null;
  #retry;
  #way;
  #timer = null;
  #backoff;
  #denials;
  #slices;
  #watchdog;

  /**
   * @param {object} options
   * @param {import('./request.js').HubRequest} options.request
   * @param {import('./token.js').Token} options.token
   * @param {RequestCredentials} [options.credentials]
   * @param {?string} [options.cursor]
   * @param {string[]} [options.keys]
   * @param {string} [options.client] its name, by which its user may leave
   * @param {any} [env]
   */
  constructor(
    { request, token, credentials = 'same-origin', cursor = null, keys = [], client },
    env = globalThis,
  ) {
    this.#request = request;
    this.#token = token;
    this.#credentials = credentials;
    this.#client = client;
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

  /** Up to where everything was told; null before the first id. @returns {?string} */
  get cursor() {
    return this.#progress.cursor;
  }

  /** @returns {import('./detail.js').Detail} */
  get detail() {
    return this.#detail;
  }

  /** Connects after the present tick, from the cursor if there is one, and stays so until stop(). */
  start() {
    if (this.#listening) return;
    this.#listening = new AbortController();
    const listeners = {
      offline: () => this.#goOffline(),
      online: () => this.#goOnline(),
      // The page may have been hidden, or the machine asleep.
      visibilitychange: () => this.check(),
      // An open request keeps a page out of the back/forward cache, and a frozen page cannot read it.
      away: () => this.#pause(),
      back: () => this.#resume(),
    };
    watchPage(listeners, this.#listening.signal, this.#env);
    this.#isPaused = false;
    this.#reopenSoon();
  }

  /** Holds nothing any more. start() resumes from the cursor, and promises of covered() go on. */
  stop() {
    this.#listening?.abort();
    this.#listening = null;
    this.#close();
    this.#set('idle');
  }

  /**
   * Carries these topics and no others, from the next tick on.
   * @param {string[]} keys
   */
  want(keys) {
    const before = this.#wanted;
    this.#wanted = [...new Set(keys)];
    if (!isSame(before, this.#wanted)) this.#reopenSoon();
    this.#settle();
  }

  /**
   * Resolves once these topics are carried and the cursor is known: each event after it is told.
   * @param {string[]} keys
   * @returns {Promise<?string>} the cursor; null from a server that has named none, and where all
   *   topics had ended before there was one
   */
  covered(keys) {
    const covered = this.#covering.wait(keys);
    this.#settle();
    return covered;
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

  // --- the page

  #pause() {
    this.#isPaused = true;
    this.#isDue = this.#isAtWork || this.#reopening !== null;
    if (!this.#isDue) return;
    this.#close();
    this.#set('waiting', { reason: 'the page is put away' });
  }

  #resume() {
    if (!this.#isPaused) return this.check();
    this.#isPaused = false;
    if (this.#isDue) this.#open();
  }

  #goOffline() {
    if (this.#link) this.#lose({ message: 'offline' });
    else if (this.#isAtWork) this.#set('offline', { retryAt: this.#retry.at });
  }

  #goOnline() {
    this.#backoff.reset();
    if (!this.#isAtWork) return;
    if (this.#way.via === 'reads') this.#tryStream();
    else if (this.#link) this.check();
    else this.#connect();
  }

  // --- what is wanted

  get #isWanting() {
    // Another server may be asked for no topics, and has its own.
    return this.#wanted.length > 0 || !this.#request.isOurs;
  }

  #reopenSoon() {
    this.#isDue = true;
    if (!this.#listening || this.#isPaused || this.#reopening !== null) return;
    this.#reopening = this.#env.setTimeout(() => {
      this.#reopening = null;
      // Other topics are no reason to ask a hub sooner that has just failed.
      const isWaiting = this.#retry.at !== null && this.#isWanting;
      if (!isWaiting && !(this.#link && isSame(this.#link.keys, this.#wanted))) this.#open();
    }, 0);
  }

  #open() {
    if (this.#isWanting) return this.#connect();
    this.#close();
    // A topic that is wanted later begins then.
    this.#progress.reset(null);
    this.#set('idle');
  }

  #settle() {
    this.#covering.settle((keys) => this.#isCovered(keys), this.cursor);
  }

  #isCovered(keys) {
    const link = this.#link;
    // Where nothing is carried, the cursor stays, and the next link carries what is wanted then.
    const isCarried = includesAll(this.#wanted, keys) && includesAll(link?.keys ?? this.#wanted, keys);
    const isPlaced = this.cursor !== null || (!this.#request.isOurs && link?.isAlive);
    const isEnded = this.#detail.state === 'ended' && !link && this.#reopening === null;
    return this.#listening && isCarried && (isPlaced || isEnded);
  }

  // --- link after link

  get #isAtWork() {
    return this.#link !== null || this.#retry.at !== null;
  }

  /** Begins another link, from where the one before had come. */
  #connect() {
    this.#close();
    const options = {
      request: this.#request,
      token: this.#token,
      credentials: this.#credentials,
      keys: this.#wanted,
      client: this.#client,
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
    this.#settle();
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
      else this.#deny(error, link.status);
    }
  }

  #opened(link) {
    // The hub sends an event at once, but another server may have nothing to say for long.
    if (this.#request.isOurs || link.turnedAway) return;
    this.#accepted(link);
    this.#settle();
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
    if (batch.length > 0) this.#call(this.onBatch, batch);
    if (!link.signal.aborted && raws.some(({ kind }) => kind === 'ready')) this.#set('live');
  }

  #take(link, raw) {
    const { kind, place } = raw;
    const hasBegun = this.cursor !== null;
    const isNew = this.#progress.take(raw);
    // What follows the first id is told already.
    if (!hasBegun) this.#settle();
    if (kind === 'heartbeat' && link.via === 'stream') this.#watchdog.beat();
    if (!this.#request.isOurs) this.#watchdog.stamp(kind === 'event' ? stampOf(place) : null);
    return isNew && kind !== 'ready' && kind !== 'heartbeat';
  }

  // --- how a link ends

  #end({ keys }) {
    this.#close();
    this.#set('ended');
    this.#call(this.onEnded, keys);
    this.#settle();
  }

  #lose({ message: reason, status = null, retryMs = null, retryAfterMs = null, isFinal = false }) {
    this.#close();
    if (isFinal) return this.#set('denied', { reason, status });
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
      this.#request.isOurs && link.shown && !link.isAlive && !link.turnedAway && link.via === 'stream';
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

  /** The hub does not take the token, or the page has none. */
  #deny(error, status) {
    this.#close();
    this.#wait('denied', { reason: reasonOf(error), status }, this.#denials.next());
  }

  /** Asks for another token before this one ends, and opens the stream anew with it. */
  async #renewAhead(link) {
    if (!link.shown || !this.#token.endsSoon) return;
    const headers = await this.#token.headers().catch(() => link.shown);
    if (link.signal.aborted) return;
    if (headers !== link.shown) this.#connect();
    else this.#set(this.#detail.state, { reason: this.#token.problem });
  }

  #wait(state, why, delayMs) {
    this.#retry.wait(delayMs);
    this.#checkLater();
    this.#set(state, { ...why, retryAt: this.#retry.at });
  }

  // --- what is told

  #set(state, { reason = null, status = null, retryAt = null } = {}) {
    const { via } = this.#way;
    const why = reason ?? (via === 'reads' ? 'a proxy holds streams back' : null);
    const detail = { state, reason: why, retryAt, status, via };
    if (JSON.stringify(detail) === JSON.stringify(this.#detail)) return;
    this.#detail = detail;
    this.#call(this.onDetail, detail);
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
