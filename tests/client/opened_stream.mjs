/** A stream on a network that is not real, and what it tells, for the tests of streams. */

import { HubRequest } from '../../client/src/request.js';
import { Stream } from '../../client/src/stream.js';
import { Token } from '../../client/src/token.js';

export const HUB = 'https://example.com/.well-known/mercure';

/** @returns {{stream: Stream, told: object}} a stream that is not started */
export function newStream(env, { keys = ['a'], cursor = null, token = {}, ...hub } = {}) {
  const request = new HubRequest({ url: HUB, ...hub }, env);
  const stream = new Stream({ request, token: new Token(token, env), cursor, keys }, env);
  const told = { batches: [], details: [], ended: [] };
  stream.onBatch = (batch) => told.batches.push(batch);
  stream.onDetail = (detail) => told.details.push(detail);
  stream.onEnded = (ended) => told.ended.push(ended);
  Object.defineProperties(told, {
    events: { get: () => told.batches.flat().filter(({ kind }) => kind === 'event') },
    gaps: { get: () => told.batches.flat().filter(({ kind }) => kind === 'gap') },
    data: { get: () => told.events.map(({ data }) => data) },
    seconds: { get: () => told.events.map(({ place }) => Number(/#(\d+)000-/.exec(place)[1])) },
    states: { get: () => told.details.map(({ state }) => state) },
  });
  return { stream, told };
}

/** A stream that has sent its first request. */
export async function started(env, options) {
  const both = newStream(env, options);
  both.stream.start();
  await env.advance(0);
  return both;
}

/** A stream that is live since a second of the hub. */
export async function live(env, { second = 1, ...options } = {}) {
  const both = await started(env, options);
  await env.last.begin(second);
  return both;
}

/** Whether a promise is resolved, and with what. */
export async function seen(env, promise) {
  let state = 'pending';
  promise.then((value) => {
    state = value;
  });
  await env.settle();
  return state;
}

export function delayMs(env, stream) {
  return stream.detail.retryAt === null ? null : stream.detail.retryAt - env.nowMs;
}

export const NOTHING_LEFT = { timers: 0, listeners: 0, requests: 0 };
