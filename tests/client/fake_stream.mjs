/** A Stream that says what the test makes it say, for tests of what stands above it. */

export function placeOf(second) {
  return `#${second * 1_000}-0`;
}

/** An update at a second. */
export function update(second, { keys = ['news'], ...rest } = {}) {
  const place = placeOf(second);
  const base = { kind: 'event', place, cursor: place, keys, topic: keys[0], id: place };
  return { ...base, type: 'message', data: `data of ${second}`, replay: false, ends: false, ...rest };
}

export function gap(second, rest = {}) {
  const place = placeOf(second);
  return { kind: 'gap', place, cursor: place, missed: null, from: null, isBack: false, ...rest };
}

export class FakeStream {
  onBatch = () => {};
  onDetail = () => {};
  onEnded = () => {};
  isOpen = false;
  detail = { state: 'connecting', reason: null, retryAt: null, status: null, via: 'stream' };
  checkCount = 0;
  #waiting = [];

  /** @param {{cursor: ?string, keys: string[]}} options @param {number} second of the hub's newest place */
  constructor({ cursor = null, keys = [] }, second = 0) {
    this.cursor = cursor;
    this.keys = keys;
    this.second = second;
  }

  start() {
    this.isOpen = true;
  }

  stop() {
    this.isOpen = false;
  }

  check() {
    this.checkCount += 1;
  }

  want(keys) {
    this.keys = keys;
  }

  covered(keys) {
    if (this.cursor) return Promise.resolve(this.cursor);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Its first heartbeat. */
  goLive(second = this.second) {
    this.cursor ??= placeOf(second);
    this.tellState('live');
    for (const resolve of this.#waiting.splice(0)) resolve(this.cursor);
  }

  tellState(state, rest = {}) {
    this.detail = { ...this.detail, state, ...rest };
    this.onDetail(this.detail);
  }

  tell(...batch) {
    this.onBatch(batch);
    this.cursor = batch.at(-1).cursor;
  }
}
