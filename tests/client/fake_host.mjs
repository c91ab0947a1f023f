/** The hub's side of a subscription: a stream that the test speaks for, and reads that it answers. */

import { keyOf } from '../../client/src/request.js';
import { Subscription } from '../../client/src/subscription.js';
import { FakeBrowser } from './fake_browser.mjs';
import { FakeStream, placeOf, update } from './fake_stream.mjs';

export class FakeHost {
  browser = new FakeBrowser();
  parts = new Set();
  reported = [];
  reads = [];
  hasReads = true;
  ended = null;

  constructor() {
    this.env = this.browser.openTab();
    this.stream = new FakeStream({ cursor: placeOf(100) });
    this.stream.onBatch = (batch) => {
      for (const part of this.parts) part.receive(batch);
    };
  }

  add(part) {
    this.parts.add(part);
  }

  remove(part, hasEnded) {
    this.parts.delete(part);
    this.ended = hasEnded;
  }

  changed() {}

  denial() {
    return null;
  }

  cursor() {
    return this.stream.cursor;
  }

  report(error) {
    this.reported.push(error);
  }

  async source() {
    return this.stream;
  }

  async *pages(keys, params, signal) {
    while (!signal.aborted) {
      const page = await new Promise((resolve, reject) => {
        this.reads.push({ keys, params, resolve, reject });
        signal.addEventListener('abort', () => reject(signal.reason));
      });
      yield page;
      if (!page.more) return;
    }
  }

  /** A subscription, and what it was told. */
  subscribe(topics, options = {}) {
    const list = [topics].flat();
    const record = { seconds: [], batches: [], gaps: [], states: [], ends: 0, replays: [] };
    const subscription = new Subscription(this, list, list.map(keyOf), {
      onEvent(event) {
        record.seconds.push(secondOf(event));
        record.replays.push(event.replay);
      },
      onEvents: (events) => record.batches.push(events.length),
      onGap: (told) => record.gaps.push(told),
      onState: (state) => record.states.push(state),
      onEnd: () => (record.ends += 1),
      ...options,
    });
    return { subscription, record };
  }

  /** Answers the last read. */
  async answer(page) {
    await this.browser.settle();
    const { resolve } = this.reads.at(-1);
    resolve({ events: [], gap: null, more: false, ended: false, ...page });
    await this.browser.settle();
  }

  /** Has the stream tell updates, each by its second or as a whole. */
  say(...batch) {
    this.stream.tell(...batch.map((each) => (typeof each === 'number' ? update(each) : each)));
  }
}

export function secondOf({ place }) {
  return Number(place.slice(1, -5));
}

export function replayed(...seconds) {
  return seconds.map((second) => update(second, { replay: true }));
}
