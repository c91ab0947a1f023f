/**
 * Gets one set of topics from the hub for as long as it is to: link after link, each from where the
 * one before had come.
 */

import { Fallback } from './fallback.js';
import { Link } from './link.js';
import { stampOf } from './place.js';
import { Progress } from './progress.js';
import { Refusal } from './refusal.js';
import { Backoff, Slices } from './timing.js';
import { ANSWER_MS } from './token.js';
import { Watchdog } from './watchdog.js';

const CHECK_EACH_MS = 1_000;

// Three times the longest interval of the hub's heartbeats; other servers may have longer ones.
const SILENCE_MS = 90_000;
const SILENCE_OF_OTHERS_MS = 150_000;

// A server that says `retry: 0` would be asked without a pause.
const RETRY_FLOOR_MS = 100;
// A person may have to log in, so there is no hurry; but after a backend's outage nobody waits long.
const DENIED = { floorMs: 10_000, firstCeilingMs: 15_000, ceilingMs: 60_000 };

/**
 * @typedef {object} Listener what an uplink tells. Each function may close it or connect it anew.
 * @property {(state: string, why?: object) => void} state with `reason`, `status` and `retryAt` as
 *   far as there are any; the same may come again
 * @property {() => void} moved which topics are carried, and from where, may have changed
 * @property {(batch: object[]) => void} batch
 * @property {(keys: string[]) => void} ended
 */

export class Uplink {
  /** The next attempt, in milliseconds since 1970; null where there is one now, or none to come. */
  retryAt = null;

  #request;
  #token;
  #credentials;
  #on;
  #env;

  #wanted;
  #progress;
  #link = null;
  #timer = null;
  #backoff;
  #denials;
  #isRenewed = false;
  #fallback;
  #slices;
  #watchdog;
  #checkedAtMs = 0;

  /**
   * @param {object} options
   * @param {import('./request.js').HubRequest} options.request
   * @param {import('./token.js').Token} options.token
   * @param {RequestCredentials} options.credentials
   * @param {?string} options.cursor
   * @param {() => string[]} options.wanted the topics that the next link carries
   * @param {Listener} on
   * @param {any} env
   */
  constructor({ request, token, credentials, cursor, wanted }, on, env) {
    this.#request = request;
    this.#token = token;
    this.#credentials = credentials;
    this.#wanted = wanted;
    this.#on = on;
    this.#env = env;
    this.#progress = new Progress(cursor);
    this.#backoff = new Backoff(env);
    this.#denials = new Backoff(env, DENIED);
    this.#fallback = new Fallback(env);
    this.#slices = new Slices(env);
    this.#watchdog = new Watchdog(request.isOurs ? SILENCE_MS : SILENCE_OF_OTHERS_MS, env);
  }

  get cursor() {
    return this.#progress.cursor;
  }

  /** @returns {'stream' | 'reads'} */
  get via() {
    return this.#fallback.via;
  }

  /** The topics that are carried at this time. @returns {?string[]} null where none are */
  get keys() {
    return this.#link?.keys ?? null;
  }

  /** Whether it is known from where the topics are carried. */
  get isPlaced() {
    return this.cursor !== null || (!this.#request.isOurs && !!this.#link?.isAlive);
  }

  /** Forgets where it was: the next link begins where the hub is then. */
  forget() {
    this.#progress.reset(null);
  }

  /** Begins another link, from where the one before had come. */
  connect() {
    this.close();
    const options = {
      request: this.#request,
      token: this.#token,
      credentials: this.#credentials,
      keys: this.#wanted(),
      via: this.via,
    };
    const link = new Link(options, this.#env);
    this.#link = link;
    this.#progress.reconnect();
    this.#noticeStepBack();
    this.#watchdog.expect(ANSWER_MS);
    this.#checkLater();
    this.#run(link);
    this.#on.moved();
    this.#on.state(this.#isOffline ? 'offline' : 'connecting');
  }

  /** Holds nothing any more, and makes no further attempt. */
  close() {
    this.#link?.giveUp();
    this.#link = null;
    this.retryAt = null;
    this.#env.clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Does what is due by the wall clock. */
  check() {
    const stepBackMs = this.#noticeStepBack();
    const isDue = this.retryAt !== null && (this.#now() >= this.retryAt || stepBackMs > 0);
    if (this.#link && this.#fallback.isOver) this.#tryStream();
    else if (this.#link && this.#watchdog.isSilent()) this.#loseSilent(this.#link);
    else if (this.#link) this.#renewAhead(this.#link);
    else if (isDue) this.connect();
  }

  /** The network is back. */
  hurry() {
    this.#backoff.reset();
    const isAtWork = this.#link || this.retryAt !== null;
    if (isAtWork && this.via === 'reads') this.#tryStream();
    else if (this.#link) this.check();
    else if (isAtWork) this.connect();
  }

  /** The network is gone. */
  goOffline() {
    if (this.#link) this.#lose({ reason: 'offline' });
    else if (this.retryAt !== null) this.#on.state('offline', { retryAt: this.retryAt });
  }

  #noticeStepBack() {
    const nowMs = this.#now();
    const stepBackMs = Math.max(0, this.#checkedAtMs - nowMs);
    this.#checkedAtMs = nowMs;
    this.#watchdog.stepBack(stepBackMs);
    this.#fallback.stepBack(stepBackMs);
    return stepBackMs;
  }

  #checkLater() {
    this.#env.clearTimeout(this.#timer);
    const untilMs = this.#link ? Infinity : this.retryAt - this.#now();
    this.#timer = this.#env.setTimeout(
      () => {
        this.check();
        if (this.#link || this.retryAt !== null) this.#checkLater();
      },
      Math.max(0, Math.min(untilMs, CHECK_EACH_MS)),
    );
  }

  async #run(link) {
    try {
      const { isOver, retryMs } = await link.run(() => this.cursor, {
        expect: (ms) => this.#watchdog.expect(ms),
        open: () => this.#open(link),
        bytes: () => link.isAlive && this.#watchdog.heard(),
        raws: (raws) => this.#receive(link, raws),
      });
      if (link.signal.aborted) return;
      if (isOver) this.#end(link);
      else this.#lose({ reason: link.turnedAway ?? 'the stream ended', retryMs });
    } catch (error) {
      // What a link says that was given up counts no more.
      if (link.signal.aborted) return;
      if (!(error instanceof Refusal)) this.#deny(error);
      else if (error.status === 401) await this.#renew(link, error);
      else this.#lose(error);
    }
  }

  #open(link) {
    // The hub sends an event at once, but another server may have nothing to say for long.
    if (this.#request.isOurs || link.turnedAway) return;
    link.isAlive = true;
    this.#accepted();
    this.#watchdog.heard();
    this.#on.moved();
    this.#on.state('live');
  }

  async #receive(link, raws) {
    for (let at = 0; at < raws.length; ) {
      const piece = raws.slice(at, (at += this.#slices.piece));
      await this.#slices.do(() => this.#tell(link, piece), link.signal);
      link.signal.throwIfAborted();
      // What was told may have kept the page busy for longer than a server may be silent.
      this.#watchdog.extend();
    }
  }

  #tell(link, raws) {
    this.#backoff.reset();
    this.#accepted();
    if (link.via === 'stream') this.#fallback.streams();
    if (!link.isAlive) {
      link.isAlive = true;
      this.#watchdog.heard();
      this.#on.state('catching up');
      // Whoever was told may have stopped this stream; then the next one is sent all of it.
      if (link.signal.aborted) return;
    }
    const batch = raws.filter((raw) => this.#take(link, raw));
    if (batch.length > 0) this.#on.batch(batch);
    if (!link.signal.aborted && raws.some(({ kind }) => kind === 'ready')) this.#on.state('live');
  }

  #take(link, raw) {
    const { kind, place } = raw;
    const isFirst = this.cursor === null;
    const isNew = this.#progress.take(raw);
    // What follows the first id is told already.
    if (isFirst) this.#on.moved();
    if (link.via === 'reads') return isNew && kind !== 'ready' && kind !== 'heartbeat';
    if (kind === 'heartbeat') this.#watchdog.beat();
    if (!this.#request.isOurs) this.#watchdog.stamp(kind === 'event' ? stampOf(place) : null);
    return isNew && kind !== 'ready' && kind !== 'heartbeat';
  }

  #accepted() {
    this.#denials.reset();
    this.#isRenewed = false;
  }

  #end(link) {
    this.close();
    this.#on.state('ended');
    this.#on.ended(link.keys);
  }

  #lose({ reason, status = null, retryMs = null, retryAfterMs = null, isFinal = false }) {
    this.close();
    if (isFinal) {
      this.#on.state('denied', { reason, status });
      return;
    }
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
      link.headers && !link.isAlive && !link.turnedAway && link.via === 'stream' && !this.#isOffline;
    if (isHeldBack && this.#request.isOurs && this.#fallback.silentStart()) this.connect();
    else this.#lose({ reason: link.headers ? 'nothing came in time' : 'no token came in time' });
  }

  /** After a 401. */
  async #renew(link, { reason, status }) {
    try {
      // The same again, right after a renewal: another one at once would not help.
      if (this.#isRenewed) throw new Error(reason);
      this.#watchdog.expect(ANSWER_MS);
      const { headers } = link;
      link.headers = null;
      const isRenewed = await this.#token.refused(headers);
      if (link.signal.aborted) return;
      this.#isRenewed = isRenewed;
      if (isRenewed) this.connect();
      else this.#lose({ reason, status, isFinal: true });
    } catch (error) {
      if (link.signal.aborted) return;
      this.#isRenewed = false;
      this.#deny(error, status);
    }
  }

  #deny(error, status = null) {
    this.close();
    this.#wait('denied', { reason: String(error?.message ?? error), status }, this.#denials.next());
  }

  /** Asks for another token before this one ends, and opens the stream anew with it. */
  async #renewAhead(link) {
    if (link.via === 'reads' || !link.headers || link.isRenewing || !this.#token.endsSoon) return;
    link.isRenewing = true;
    const headers = await this.#token.headers().catch(() => link.headers);
    link.isRenewing = false;
    if (link.signal.aborted) return;
    if (headers !== link.headers) this.connect();
    else this.#on.state(null, { reason: this.#token.problem });
  }

  #tryStream() {
    this.#fallback.tryStream();
    this.connect();
  }

  #wait(state, why, delayMs) {
    this.retryAt = this.#now() + delayMs;
    this.#checkLater();
    this.#on.state(state, { ...why, retryAt: this.retryAt });
  }

  get #isOffline() {
    return this.#env.navigator?.onLine === false;
  }

  #now() {
    return this.#env.Date.now();
  }
}
