/**
 * The whole client on Node, against a hub that runs: HUB_URL, TOKEN (may publish and read all), and
 * APP_PID (Gunicorn's master, whose workers it kills). test_client_against_hub.py starts it.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { connect, DeniedError } from '../../client/src/barestream.js';

const { HUB_URL: url, TOKEN: token, APP_PID: appPid } = process.env;
const PATIENCE_MS = 60_000;
const hubs = [];
let topicCount = 0;

function open(options = {}) {
  const hub = connect(url, { token, shared: false, ...options });
  hubs.push(hub);
  return hub;
}

after(() => {
  for (const hub of hubs) hub.close();
});

function someTopic() {
  topicCount += 1;
  return `/of/${process.pid}/${topicCount}`;
}

async function until(what, isSo) {
  const endMs = Date.now() + PATIENCE_MS;
  while (!isSo()) {
    if (Date.now() > endMs) assert.fail(`not in time: ${what}`);
    await sleep(10);
  }
}

async function untilLive(hub) {
  await until('the hub is live', () => hub.state === 'live');
}

function collect(hub, topics, options = {}) {
  const got = { texts: [], events: [], gaps: [], states: [], ends: 0 };
  got.subscription = hub.subscribe(topics, {
    onEvent(event) {
      got.texts.push(event.data);
      got.events.push(event);
    },
    onGap: (gap) => got.gaps.push(gap),
    onState: (state) => got.states.push(state),
    onEnd: () => (got.ends += 1),
    ...options,
  });
  return got;
}

function workers() {
  const tasks = readFileSync(`/proc/${appPid}/task/${appPid}/children`, 'utf8');
  return tasks.trim().split(' ').filter(Boolean).map(Number);
}

test('a rewind comes first, then live events, each once', async () => {
  const hub = open();
  const topic = someTopic();
  for (const data of ['1', '2', '3']) await hub.publish(topic, data);
  const got = collect(hub, topic, { rewind: 2 });
  await untilLive(hub);
  await hub.publish(topic, { four: 4 });
  await until('three events', () => got.texts.length >= 3);
  assert.deepEqual(got.texts, ['2', '3', '{"four":4}']);
  assert.deepEqual(got.events.map(({ replay }) => replay), [true, true, false]);
  assert.deepEqual(got.events[2].json(), { four: 4 });
  assert.equal(got.events[2].topic, topic);
});

test('a kept value comes, however many topics are on the stream', async () => {
  const hub = open();
  const [a, b] = [someTopic(), someTopic()];
  await hub.publish(a, 'kept', { keep: 'forever' });
  await hub.publish(a, 'after');
  collect(hub, b);
  await untilLive(hub);
  const got = collect(hub, a, { rewind: 'kept' });
  await until('both', () => got.texts.length === 2);
  assert.deepEqual(got.texts, ['kept', 'after']);
});

test('from a cursor all that came since is told, and the cursor can be kept for a reload', async () => {
  const hub = open();
  const topic = someTopic();
  await hub.publish(topic, 'before');
  const cursor = await hub.cursor();
  await hub.publish(topic, 'after');
  const first = collect(hub, topic, { from: cursor });
  await until('the event', () => first.texts.length === 1);
  const kept = first.subscription.cursor;
  first.subscription.close();
  await hub.publish(topic, 'while away');
  const second = collect(open(), topic, { from: kept });
  await until('the next', () => second.texts.length === 1);
  assert.deepEqual([first.texts, second.texts], [['after'], ['while away']]);
});

test('the state comes first, and the events after its cursor follow', async () => {
  const hub = open();
  const topic = someTopic();
  const getState = async (gap) => {
    const cursor = await hub.cursor();
    await hub.publish(topic, 'changed meanwhile');
    return { state: gap, cursor };
  };
  const got = collect(hub, topic, { getState });
  await until('the event', () => got.texts.length === 1);
  assert.deepEqual(got.states, [null]);
  assert.deepEqual(got.texts, ['changed meanwhile']);
});

test('a cursor that the hub does not know is told as a gap, and with a state it is asked again', async () => {
  const hub = open();
  const topic = someTopic();
  let calls = 0;
  const getState = async () => ({
    state: (calls += 1),
    cursor: calls === 1 ? '#1-0' : await hub.cursor(),
  });
  const got = collect(hub, topic, { getState });
  await until('the second state', () => got.states.length === 2);
  await untilLive(hub);
  await hub.publish(topic, 'then');
  await until('the event', () => got.texts.includes('then'));
  assert.equal(got.gaps.length, 1);
  const plain = collect(hub, topic, { from: '#1-0' });
  await until('the gap', () => plain.gaps.length === 1);
});

test('the end of a topic is told after its last update, also beside other topics', async () => {
  const hub = open();
  const [topic, other] = [someTopic(), someTopic()];
  collect(hub, other);
  const got = collect(hub, topic);
  await untilLive(hub);
  await hub.publish(topic, 'last', { end: true });
  await until('the end', () => got.ends === 1);
  assert.deepEqual(got.texts, ['last']);
  const late = collect(hub, topic, { rewind: 5 });
  await until('the end for who comes late', () => late.ends === 1);
  assert.deepEqual(late.texts, ['last']);
  assert.equal(hub.subscribe(other).topics[0], other);
});

test('where all topics have ended, the hub says so, and a loop is over', async () => {
  const hub = open();
  const topic = someTopic();
  await hub.publish(topic, 'only', { end: true });
  const texts = [];
  for await (const { data } of hub.subscribe(topic, { from: 'earliest' })) texts.push(data);
  assert.deepEqual(texts, ['only']);
  const plain = collect(open(), topic);
  await until('the end without a start', () => plain.ends === 1);
  await until('the state', () => hub.state === 'ended');
});

test('a publish that the hub refuses says why, and one that is sent twice is one event', async () => {
  const hub = open();
  const topic = someTopic();
  await assert.rejects(hub.publish('*', 'no'), (error) => error.status === 400 && /topic/.test(error.message));
  const anonymous = open({ token: undefined });
  await assert.rejects(anonymous.publish(topic, 'no'), (error) => error.status === 401);
  const id = `mine-${topic}`;
  assert.equal(await hub.publish(topic, 'once', { id }), id);
  assert.equal(await hub.publish(topic, 'once', { id }), id);
  const got = collect(hub, topic, { rewind: 10 });
  await untilLive(hub);
  assert.deepEqual(got.events.map((event) => event.id), [id]);
});

test('private updates come to who may read them alone', async () => {
  const hub = open();
  const topic = someTopic();
  await hub.publish(topic, 'secret', { private: true });
  const mine = collect(hub, topic, { rewind: 5 });
  const others = open({ token: undefined });
  const theirs = collect(others, topic, { rewind: 5 });
  await until('the update', () => mine.texts.length === 1);
  await untilLive(others);
  assert.deepEqual(theirs.texts, []);
});

test('a token that is not valid is denied for good, and a loop throws', async () => {
  const hub = open({ token: 'no.to.ken' });
  const loop = hub.subscribe(someTopic())[Symbol.asyncIterator]();
  await assert.rejects(loop.next(), (error) => error instanceof DeniedError && error.status === 401);
});

test('after identify() everything begins anew with another token', async () => {
  const topic = someTopic();
  const tokens = [undefined, token];
  const hub = open({ token: async () => tokens.shift() ?? token, identity: 'nobody' });
  await open().publish(topic, 'secret', { private: true });
  const got = collect(hub, topic, { rewind: 5 });
  await untilLive(hub);
  hub.identify('somebody');
  await until('what the other user may read', () => got.texts.length >= 1);
  assert.equal(got.texts[0], 'secret');
});

test('an update of two topics comes once to each of two subscriptions', async () => {
  const hub = open();
  const [a, b, c] = [someTopic(), someTopic(), someTopic()];
  const first = collect(hub, [a, b]);
  const second = collect(hub, [b, c]);
  await untilLive(hub);
  await hub.publish([a, b], 'both');
  await hub.publish([c], 'second');
  await hub.publish([a], 'first');
  await until('all', () => first.texts.length + second.texts.length === 4);
  assert.deepEqual(first.texts, ['both', 'first']);
  assert.deepEqual(second.texts, ['both', 'second']);
});

test('many topics go by QUERY, and each comes', async () => {
  const hub = open();
  const base = someTopic();
  const topics = Array.from({ length: 90 }, (_, index) => `${base}/${index}/${'x'.repeat(100)}`);
  const got = topics.map((topic) => collect(hub, topic));
  await untilLive(hub);
  await hub.publish(topics[0], 'first');
  await hub.publish(topics[89], 'last');
  await until('both', () => got[89].texts.length === 1);
  assert.deepEqual([got[0].texts, got[1].texts, got[89].texts], [['first'], [], ['last']]);
});

test('topics come and go under load while workers are killed: nothing is lost or twice', async () => {
  const publisher = open();
  const hub = open();
  const topics = Array.from({ length: 6 }, someTopic);
  const published = new Map(topics.map((topic) => [topic, []]));
  let isOver = false;

  const publishing = topics.map(async (topic) => {
    for (let count = 0; !isOver; count += 1) {
      const data = String(count);
      // With an id, so that it can be sent until it is taken.
      const id = `${topic}-${count}`;
      for (;;) {
        try {
          await publisher.publish(topic, data, { id });
          break;
        } catch (error) {
          if (error.status !== null && error.status < 500) throw error;
        }
      }
      published.get(topic).push(data);
      await sleep(20);
    }
  });

  // Beside the coming and going, one that stays.
  const staying = topics.map((topic) => [topic, collect(hub, topic, { rewind: 5 })]);
  const visits = [];
  const visiting = (async () => {
    for (let round = 0; !isOver; round += 1) {
      const topic = topics[round % topics.length];
      const visit = { topic, got: collect(hub, [topic, `${topic}/${round}`], { from: 'earliest' }) };
      visits.push(visit);
      await sleep(150 + (round % 4) * 100);
      if (round % 3) visit.got.subscription.close();
    }
  })();

  for (let kill = 0; kill < 4; kill += 1) {
    await sleep(2_000);
    const [victim] = workers();
    process.kill(victim, 'SIGKILL');
    await until('a worker in its place', () => workers().length > 0 && !workers().includes(victim));
  }
  await sleep(1_000);
  isOver = true;
  await Promise.all([...publishing, visiting]);
  const last = (topic) => published.get(topic).at(-1);
  const open_ = visits.filter((_, round) => round % 3 === 0);
  for (const [topic, got] of [...staying, ...open_.map(({ topic, got }) => [topic, got])]) {
    await until(`the last of ${topic}`, () => got.texts.includes(last(topic)));
    const all = published.get(topic);
    assert.deepEqual(got.texts, all.slice(all.indexOf(got.texts[0])), topic);
    assert.equal(got.gaps.length, 0);
  }
  for (const { topic, got } of visits) {
    assert.deepEqual(got.texts, published.get(topic).slice(0, got.texts.length), `a visit of ${topic}`);
  }
});

test('10,000 events of the past come in batches of at most 500', async () => {
  const hub = open();
  const topic = someTopic();
  const updates = Array.from({ length: 100 }, (_, index) => ({ topic, data: String(index) }));
  for (let round = 0; round < 100; round += 1) {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(updates),
    });
    assert.equal(answer.status, 200);
  }
  const sizes = [];
  const got = collect(hub, topic, { from: 'earliest', onEvents: (events) => sizes.push(events.length) });
  await until('all of them', () => got.texts.length >= 10_000);
  assert.equal(got.texts.length, 10_000);
  assert.ok(Math.max(...sizes) <= 500);
});
