/**
 * What the hub is shown: a token for the header, or cookies that the backend renews.
 *
 * It has no timer: whoever needs it asks, by the wall clock, which also goes on while a laptop sleeps.
 * A page that has neither a token nor a cookie to renew is a visitor (visitor.js); so this is loaded
 * when it is needed, and imports nothing.
 */

// A fifth of a token's life is left when another one is asked for, which leaves time for a few more
// attempts; of a long life a minute.
const LIFE_LEFT = 0.2;
const MOST_LEFT_MS = 60_000;
// A backend that fails, or that gives the same token again, is not asked more often ahead of the end:
// of a long life that is twenty times.
const ASK_EACH_MS = 3_000;
// The page's function may never answer; then it is called again. A stream waits as long.
const ANSWER_MS = 30_000;

/** Also counts the cookies, which nobody but the browser sees. */
export class Token {
  /** Why the last attempt to get another one failed. @type {?string} */
  problem = null;

  #options;
  #env;
  #text = '';
  #jwt = {};
  // A new object for each token or cookie, so that it tells which one a request was sent with.
  #headers = null;
  #endsAtMs = null;
  #renewAtMs = Infinity;
  #asking = null;
  #askedAtMs = -Infinity;

  /**
   * @param {object} [options]
   * @param {string | (() => string | Promise<string>)} [options.token]
   * @param {() => any} [options.renew] returns when the cookie ends: a Date, seconds since 1970, or null
   * @param {string} [options.identity]
   * @param {'0.x' | '1.0'} [options.protocol]
   * @param {any} [env]
   */
  constructor(options = {}, env = globalThis) {
    this.#options = options;
    this.#env = env;
    // Cookies are renewed at first too: nobody else knows when they end, and without one the hub
    // takes the page for a stranger, and sends it what is public.
    if (!this.#source) this.#keep(options.token ?? null, null);
  }

  /** Whether it is time to ask for another one. */
  get endsSoon() {
    const nowMs = this.#now();
    const isAskedLately = Math.abs(nowMs - this.#askedAtMs) < ASK_EACH_MS;
    return this.#source !== null && nowMs >= this.#renewAtMs && !isAskedLately;
  }

  /**
   * The headers of the next request. Asks for a token if there is none, or if it ends soon.
   * @returns {Promise<{Authorization?: string}>} the same object until there is another token or
   *   cookie; rejects if there is none and the function fails
   */
  async headers() {
    if (!this.#headers || this.endsSoon) {
      try {
        await this.#ask();
      } catch (error) {
        const isOver = this.#endsAtMs !== null && this.#now() >= this.#endsAtMs;
        if (!this.#headers || isOver) throw error;
      }
    }
    return this.#headers ?? {};
  }

  /**
   * After a 401: asks for another token or cookie, unless there is another one already.
   * @param {object} [headers] those that were refused, as headers() gave them
   * @returns {Promise<boolean>} false where there is nothing to ask; rejects if the function fails
   */
  async refused(headers = this.#headers) {
    if (headers !== this.#headers) return true;
    if (!this.#source) return false;
    await this.#ask();
    return true;
  }

  /**
   * Who the user is, as far as tabs may share a stream. It does not tell the token.
   * @returns {Promise<string>}
   */
  async identity() {
    const { token, identity } = this.#options;
    if (identity != null || !token) return identity ?? '';
    await this.headers();
    const { claims } = this.#jwt;
    if (!claims) return hashOf(this.#text);
    const { iss, sub, client_id, mercure = {}, authorization_details } = claims;
    const rights = [mercure.publish, mercure.subscribe, authorization_details];
    return hashOf(JSON.stringify([iss, sub, client_id, rights]));
  }

  /** @returns {Promise<'0.x' | '1.0'>} */
  async protocol() {
    const { token, protocol } = this.#options;
    if (protocol) return protocol;
    if (token) await this.headers();
    return /^(application\/)?at\+jwt$/i.test(this.#jwt.header?.typ) ? '1.0' : '0.x';
  }

  get #source() {
    const { token, renew } = this.#options;
    if (typeof token === 'function') return token;
    return !token && renew ? renew : null;
  }

  /** Calls the page's function; whoever asks meanwhile gets the same answer. */
  #ask() {
    const nowMs = this.#now();
    const isUnderWay = this.#asking && Math.abs(nowMs - this.#askedAtMs) < ANSWER_MS;
    if (!isUnderWay) {
      this.#askedAtMs = nowMs;
      const asking = this.#answer(() => asking === this.#asking).finally(() => {
        if (asking === this.#asking) this.#asking = null;
      });
      this.#asking = asking;
    }
    return this.#asking;
  }

  async #answer(isWanted) {
    // Not within the call that asks, which first has to know this promise.
    await null;
    try {
      const answer = await this.#source();
      if (!isWanted()) return;
      this.problem = null;
      if (this.#options.token) this.#keep(answer, null);
      else this.#keep(null, answer);
    } catch (error) {
      if (isWanted()) this.problem = String(error?.message ?? error);
      throw error;
    }
  }

  #keep(text, expiry) {
    const [header, claims] = (text ?? '').split('.').map(jsonOf);
    this.#text = text ?? '';
    this.#jwt = claims ? { header, claims } : {};
    this.#headers = text ? { Authorization: `Bearer ${text}` } : {};
    const nowMs = this.#now();
    const endsAtMs = text ? endOf(claims, nowMs) : millisecondsOf(expiry);
    this.#endsAtMs = endsAtMs;
    const lifeMs = endsAtMs - nowMs;
    const leftMs = Math.min(LIFE_LEFT * lifeMs, MOST_LEFT_MS);
    this.#renewAtMs = endsAtMs === null ? Infinity : endsAtMs - leftMs;
  }

  #now() {
    return this.#env.Date.now();
  }
}

function endOf(claims, nowMs) {
  const { exp, iat } = claims ?? {};
  if (!exp) return null;
  if (exp * 1_000 > nowMs) return exp * 1_000;
  // By this machine's clock it came too late, so the clock is wrong; its life still counts.
  return exp > iat ? nowMs + (exp - iat) * 1_000 : null;
}

function millisecondsOf(expiry) {
  if (expiry == null) return null;
  return expiry instanceof Date ? expiry.getTime() : expiry * 1_000;
}

function jsonOf(part) {
  try {
    const text = atob(part.replaceAll('-', '+').replaceAll('_', '/'));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (each) => each.charCodeAt(0))));
  } catch {
    return null;
  }
}

/** Two FNV-1a hashes; crypto.subtle does not exist on plain HTTP. */
function hashOf(text) {
  let [a, b] = [0x811c9dc5, 0x9dc5811c];
  for (let at = 0; at < text.length; at += 1) {
    a = Math.imul(a ^ text.charCodeAt(at), 0x01000193);
    b = Math.imul(b ^ a ^ text.charCodeAt(at), 0x01000193);
  }
  return [a, b].map((each) => (each >>> 0).toString(36)).join('');
}
