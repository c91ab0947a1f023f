/**
 * Tells when a stream is silent for too long, by the wall clock: timers stop while a laptop sleeps,
 * and run late in a hidden tab.
 */

const CONFIRM_MS = 1_000;
const SILENT_INTERVALS = 3;
const SILENCE_FLOOR_MS = 10_000;
// Signs of life that follow each other so closely were queued somewhere.
const LEAST_INTERVAL_MS = 1_000;

export class Watchdog {
  #env;
  #unknownMs;
  #sinceMs = 0;
  #withinMs = Infinity;
  #overdueSinceMs = null;
  #heardAtMs = 0;
  #silenceMs = 0;
  #intervalsMs = [];
  #stampMs = null;
  #stepMs = null;

  /**
   * @param {number} unknownMs the silence that is accepted while the server's interval is not known
   * @param {any} env
   */
  constructor(unknownMs, env) {
    this.#unknownMs = unknownMs;
    this.#env = env;
  }

  /** Something has to come within this time: by default within the server's own. @param {number} [ms] */
  expect(ms = this.#limitMs) {
    this.#sinceMs = this.#env.Date.now();
    this.#withinMs = ms;
    this.#overdueSinceMs = null;
  }

  /** Something came; the next has to come in the server's time. */
  heard() {
    this.expect();
    this.#silenceMs = this.#sinceMs - this.#heardAtMs;
    this.#heardAtMs = this.#sinceMs;
  }

  /** What came was a heartbeat. The hub sends it after an interval of silence. */
  beat() {
    if (this.#silenceMs < LEAST_INTERVAL_MS) return;
    this.#intervalsMs = [this.#silenceMs, ...this.#intervalsMs].slice(0, 2);
  }

  /**
   * What came has this time in its id. Two equal steps are those of a clock, which has no heartbeats.
   * @param {?number} stampMs null after a gap, across which there is no step
   */
  stamp(stampMs) {
    const stepMs = stampMs !== null && this.#stampMs !== null ? stampMs - this.#stampMs : null;
    this.#intervalsMs = stepMs > 0 && stepMs === this.#stepMs ? [stepMs, stepMs] : [];
    this.#stampMs = stampMs;
    this.#stepMs = stepMs;
  }

  /** The interval may be another one: what was learnt has led to an alarm. */
  forget() {
    this.#intervalsMs = [];
  }

  /** Whether it is silent, to be asked about once a second. */
  isSilent() {
    const nowMs = this.#env.Date.now();
    // The wall clock was set back.
    if (nowMs < this.#sinceMs) this.expect(this.#withinMs);
    if (nowMs - this.#sinceMs < this.#withinMs) return false;
    // A tab that wakes may have bytes queued behind this check, so only a second one counts.
    this.#overdueSinceMs ??= nowMs;
    return nowMs - this.#overdueSinceMs >= CONFIRM_MS;
  }

  get #limitMs() {
    if (this.#intervalsMs.length < 2) return this.#unknownMs;
    // The smaller of two: one long interval may be a jump.
    return Math.max(SILENT_INTERVALS * Math.min(...this.#intervalsMs), SILENCE_FLOOR_MS);
  }
}
