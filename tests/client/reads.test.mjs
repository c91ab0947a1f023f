import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { pages, read } from '../../client/src/reads.js';
import { Refusal } from '../../client/src/refusal.js';
import { HubRequest } from '../../client/src/request.js';
import { Token } from '../../client/src/token.js';
import { FakeEnv, answer, entry, idOf } from './fake_env.mjs';

let env;

beforeEach(() => {
  env = new FakeEnv();
});

function question({ keys = ['a', 'b'], token = {}, ...others } = {}) {
  return {
    request: new HubRequest({ url: 'https://example.com/hub' }, env),
    token: new Token(token, env),
    credentials: 'include',
    keys,
    ...others,
  };
}

/** What a promise has come to. */
function followed(promise) {
  const state = { value: undefined, error: null, isOver: false };
  promise.then(
    (value) => Object.assign(state, { value, isOver: true }),
    (error) => Object.assign(state, { error, isOver: true }),
  );
  return state;
}

/** The answers of pages(), as they come. */
function turned(asked) {
  const state = { answers: [], error: null, isOver: false };
  (async () => {
    try {
      for await (const each of pages(asked, env)) state.answers.push(each);
    } catch (error) {
      state.error = error;
    }
    state.isOver = true;
  })();
  return state;
}

const cursors = ({ answers }) => answers.map(({ cursor }) => cursor);

test('a read asks for JSON and for which topics matched, and never comes from a cache', async () => {
  followed(read(question({ params: { rewind: 10, wait: 5 } }), env));
  await env.settle();
  const { headers, options, params } = env.last;
  assert.equal(headers.Accept, 'application/json');
  assert.deepEqual([options.cache, options.credentials], ['no-store', 'include']);
  assert.deepEqual([...params], [['topic', 'a'], ['topic', 'b'], ['include', 'match'], ['rewind', '10'], ['wait', '5']]);
});

test('an answer has raw events for the topics that matched, and its cursor', async () => {
  const reading = followed(read(question(), env));
  await env.settle();
  const ended = entry(2, { matches: [0, 1], end: true, id: 'own' });
  await env.last.json(answer([entry(1, { matches: [1] }), ended], 9, { ended: true }));
  const { events, gap, more, ended: isOver, cursor } = reading.value;
  assert.deepEqual(events[0], {
    kind: 'event',
    place: idOf(1),
    cursor: idOf(1),
    keys: ['b'],
    topic: 'a',
    id: idOf(1),
    type: 'message',
    data: 'data of 1',
    replay: true,
    ends: false,
  });
  assert.deepEqual([events[1].keys, events[1].ends, events[1].id], [['a', 'b'], true, 'own']);
  assert.deepEqual([gap, more, isOver, cursor], [null, false, true, idOf(9)]);
});

test('a gap of an answer is told with its place, also one that leads back', async () => {
  const reading = followed(read(question(), env));
  await env.settle();
  await env.last.json(answer([], 5, { gap: { from: idOf(8), to: idOf(4), missed: 3 } }));
  assert.deepEqual(reading.value.gap, {
    kind: 'gap',
    place: idOf(4),
    cursor: idOf(5),
    missed: 3,
    from: idOf(8),
    isBack: true,
  });
});

test('a refusal says its status, the words of the hub, and when to come back', async () => {
  const reading = followed(read(question(), env));
  await env.settle();
  await env.last.problem(503, 'This worker stops.', { 'Retry-After': '2' });
  assert.ok(reading.error instanceof Refusal);
  const { message: reason, status, retryAfterMs, isFinal } = reading.error;
  assert.deepEqual({ reason, status, retryAfterMs, isFinal }, {
    reason: 'This worker stops.',
    status: 503,
    retryAfterMs: 2_000,
    isFinal: false,
  });
});

test('Retry-After may be a date; one that is past or unreadable does not count', async () => {
  for (const [text, expected] of [
    [new Date(1_795_363_205_000).toUTCString(), 5_000],
    [new Date(1_795_363_100_000).toUTCString(), null],
    ['soon', null],
    ['0', null],
  ]) {
    const reading = followed(read(question(), env));
    await env.settle();
    await env.last.answer(429, '', { 'Retry-After': text });
    assert.equal(reading.error.retryAfterMs, expected, text);
  }
});

test('only what the hub itself says is final, and not what an older hub cannot include', async () => {
  for (const status of [400, 403, 404, 405, 413, 414, 415, 431]) {
    const [ours, proxy] = [followed(read(question(), env)), followed(read(question(), env))];
    await env.settle();
    await env.requests.at(-2).problem(status, 'No.');
    await env.last.answer(status, '<html>', { 'Content-Type': 'text/html' });
    assert.deepEqual([ours.error.isFinal, proxy.error.isFinal], [true, false], String(status));
  }
  const old = followed(read(question(), env));
  await env.settle();
  await env.last.problem(400, 'include: expected ready or topic');
  assert.equal(old.error.isFinal, false);
});

test('a page of HTML with 200 is no answer', async () => {
  const reading = followed(read(question(), env));
  await env.settle();
  await env.last.answer(200, '<html>', { 'Content-Type': 'text/html' });
  assert.equal(reading.error.message, 'expected application/json, got text/html');
  assert.equal(reading.error.isFinal, false);
});

test('an answer that is cut, or that says another thing than its type, is a broken connection', async () => {
  for (const text of ['{"events": [', 'null']) {
    const reading = followed(read(question(), env));
    await env.settle();
    await env.last.answer(200, text, { 'Content-Type': 'application/json' });
    assert.deepEqual([reading.error.message, reading.error.status], ['no connection', null]);
  }
});

test('after a 401 a read asks for another token and once more, and then gives up', async () => {
  let count = 0;
  const token = () => `token-${(count += 1)}`;
  const reading = followed(read(question({ token: { token } }), env));
  await env.settle();
  assert.equal(env.last.headers.Authorization, 'Bearer token-1');
  await env.last.answer(401);
  assert.equal(env.last.headers.Authorization, 'Bearer token-2');
  await env.last.answer(401);
  assert.equal(reading.error.status, 401);
  assert.equal(env.requests.length, 2);
});

test('a 401 without another token is final for pages too', async () => {
  const turning = turned(question());
  await env.settle();
  await env.last.answer(401);
  assert.equal(turning.error.status, 401);
});

test('pages go on from the cursor until one is not full, and rewind once', async () => {
  const turning = turned(question({ params: { rewind: 'kept', limit: 2 } }));
  await env.settle();
  assert.equal(env.last.params.get('rewind'), 'kept');
  await env.last.json(answer([entry(1), entry(2)], 2, { more: true }));
  assert.deepEqual([env.last.params.get('rewind'), env.last.params.get('last_event_id')], [null, idOf(2)]);
  assert.equal(env.last.params.get('limit'), '2');
  await env.last.json(answer([entry(3)], 5));
  assert.deepEqual([cursors(turning), turning.isOver], [[idOf(2), idOf(5)], true]);
  assert.equal(env.requests.length, 2);
});

test('pages try again after 429, 5xx, HTML and a broken connection, with growing delays', async () => {
  const turning = turned(question());
  const faults = [
    [(request) => request.answer(429), 2_000],
    [(request) => request.problem(503), 3_500],
    [(request) => request.answer(200, '', { 'Content-Type': 'text/html' }), 5_500],
    [(request) => request.fail(), 5_500],
  ];
  await env.settle();
  for (const [fault, delayMs] of faults) {
    const before = env.requests.length;
    await fault(env.last);
    await env.advance(delayMs - 1);
    assert.equal(env.requests.length, before);
    await env.advance(1);
    assert.equal(env.requests.length, before + 1);
  }
  await env.last.json(answer([], 3));
  assert.deepEqual([cursors(turning), turning.isOver], [[idOf(3)], true]);
});

test('pages come back no sooner than Retry-After says', async () => {
  turned(question());
  await env.settle();
  await env.last.answer(503, '', { 'Retry-After': '20' });
  await env.advance(20_000);
  assert.equal(env.requests.length, 1);
  await env.advance(2_000);
  assert.equal(env.requests.length, 2);
});

test('pages end where the hub refuses for good', async () => {
  const turning = turned(question());
  await env.settle();
  await env.last.problem(400, 'no topic');
  assert.deepEqual([turning.error.message, turning.isOver], ['no topic', true]);
  assert.deepEqual(env.rest, { timers: 0, listeners: 0, requests: 0 });
});

test('pages that are aborted leave nothing: in a request, in a pause, and while a token is awaited', async () => {
  const never = new Promise(() => {});
  const stages = {
    request: [{}, () => {}],
    pause: [{}, () => env.last.answer(503)],
    token: [{ token: () => never }, () => {}],
  };
  for (const [stage, [token, reach]] of Object.entries(stages)) {
    const abort = new AbortController();
    const turning = turned(question({ token, signal: abort.signal }));
    await env.settle();
    await reach();
    abort.abort(new Error('enough'));
    await env.settle();
    assert.equal(turning.error?.message, 'enough', stage);
    assert.deepEqual(env.rest, { timers: 0, listeners: 0, requests: 0 }, stage);
  }
});

test('an answer that comes after the abort is not told', async () => {
  env.isDeaf = true;
  const abort = new AbortController();
  const turning = turned(question({ signal: abort.signal }));
  await env.settle();
  abort.abort(new Error('enough'));
  await env.last.json(answer([entry(1)], 1));
  assert.deepEqual([turning.answers, turning.error.message], [[], 'enough']);
});

test('many topics are read by QUERY', async () => {
  followed(read(question({ keys: ['a'.repeat(5_000), 'b'.repeat(5_000)] }), env));
  await env.settle();
  assert.deepEqual([env.last.method, env.last.params.getAll('topic').length], ['QUERY', 2]);
});
