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
  #dueAtMs = Infinity;
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

  /** Something has to come within this time. @param {number} ms */
  expect(ms) {
    this.#overdueSinceMs = null;
    this.#dueAtMs = this.#env.Date.now() + ms;
  }

  /** Something came; the next has to come in the server's time. */
  heard() {
    const nowMs = this.#env.Date.now();
    this.#silenceMs = nowMs - this.#heardAtMs;
    this.#heardAtMs = nowMs;
    this.extend();
  }

  /** The page itself was busy with what came; the server's time begins again. */
  extend() {
    this.expect(this.#limitMs());
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

  /** The wall clock was set back. @param {number} ms */
  stepBack(ms) {
    this.#dueAtMs -= ms;
    this.#heardAtMs -= ms;
    if (this.#overdueSinceMs !== null) this.#overdueSinceMs -= ms;
  }

  /** Whether it is silent, to be asked about once a second. */
  isSilent() {
    const nowMs = this.#env.Date.now();
    if (nowMs < this.#dueAtMs) this.#overdueSinceMs = null;
    // A tab that wakes may have bytes queued behind this check, so only a second one counts.
    else this.#overdueSinceMs ??= nowMs;
    return this.#overdueSinceMs !== null && nowMs - this.#overdueSinceMs >= CONFIRM_MS;
  }

  #limitMs() {
    if (this.#intervalsMs.length < 2) return this.#unknownMs;
    // The smaller of two: one long interval may be a jump.
    return Math.max(SILENT_INTERVALS * Math.min(...this.#intervalsMs), SILENCE_FLOOR_MS);
  }
}
