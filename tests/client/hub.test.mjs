import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

// Loaded on demand by the client: here at once, as the clock of these tests does not wait for it.
import '../../client/src/token.js';
import '../../client/src/reading.js';
import '../../client/src/replay.js';
import { DeniedError } from '../../client/src/denied_error.js';
import { Hub } from '../../client/src/hub.js';
import { FakeBrowser } from './fake_browser.mjs';
import { FakeHub, problem } from './fake_hub.mjs';

const URL_OF_HUB = 'https://hub.test/.well-known/mercure';

let browser;
let server;

beforeEach(() => {
  browser = new FakeBrowser();
  server = new FakeHub();
});

function openHub(options = {}, tabOptions = {}) {
  const env = browser.openTab({ fetch: server.fetch, ...tabOptions });
  const hub = new Hub(URL_OF_HUB, options, env);
  hub.env = env;
  hub.states = [];
  hub.addEventListener('statechange', ({ detail }) => hub.states.push(detail.state));
  return hub;
}

function follow(hub, topics, options = {}) {
  const texts = [];
  const subscription = hub.subscribe(topics, { onEvent: ({ data }) => texts.push(data), ...options });
  return { texts, subscription };
}

async function publish(topic, data, options) {
  server.publish(topic, data, options);
  await browser.settle();
}

function streamRequests() {
  return server.requests.filter(({ headers }) => headers.Accept === 'text/event-stream');
}

test('the state goes from idle over connecting and catching up to live, and back to idle', async () => {
  const hub = openHub();
  assert.equal(hub.state, 'idle');
  const { subscription } = follow(hub, 'news', { rewind: 2 });
  await browser.settle();
  assert.deepEqual(hub.states, ['connecting', 'catching up', 'live']);
  subscription.close();
  await browser.settle();
  assert.equal(hub.state, 'idle');
  assert.equal(server.streams.size, 0);
});

test('topics that come and go within a tick open the stream anew once', async () => {
  const hub = openHub();
  const kept = follow(hub, 'a');
  await browser.settle();
  const gone = follow(hub, 'b');
  follow(hub, 'c');
  follow(hub, ['d', 'a']);
  gone.subscription.close();
  await browser.settle();
  assert.equal(streamRequests().length, 2);
  assert.deepEqual(streamRequests()[1].query.getAll('topic'), ['a', 'c', 'd']);
  await publish('a', '1');
  assert.deepEqual(kept.texts, ['1']);
});

test('a subscription that closes at once opens no stream', async () => {
  const hub = openHub();
  follow(hub, 'a').subscription.close();
  await browser.settle();
  assert.equal(streamRequests().length, 0);
  assert.equal(hub.state, 'idle');
});

test('a rewind of a topic that comes later is read, and the stream goes on from its cursor', async () => {
  const hub = openHub();
  const first = follow(hub, 'a');
  await browser.settle();
  await publish('b', 'before');
  const second = follow(hub, 'b', { rewind: 5 });
  server.publish('a', 'meanwhile');
  server.publish('b', 'meanwhile');
  await browser.settle();
  await publish('b', 'after');
  assert.deepEqual(first.texts, ['meanwhile']);
  assert.deepEqual(second.texts, ['before', 'meanwhile', 'after']);
});

test('a stream that breaks goes on without loss', async () => {
  const hub = openHub();
  const { texts } = follow(hub, 'a');
  await browser.settle();
  await publish('a', '1');
  server.cut();
  server.publish('a', '2');
  await browser.pass(4_000);
  await publish('a', '3');
  assert.deepEqual(texts, ['1', '2', '3']);
  assert.ok(hub.states.includes('waiting'));
});

test('tabs with one user share one stream, those of another do not', async () => {
  const tabs = ['ada', 'ada', 'bob'].map((user) => openHub({ token: user }));
  const followed = tabs.map((hub) => follow(hub, 'a'));
  await browser.settle();
  assert.equal(server.streams.size, 2);
  await publish('a', 'for ada', { user: 'ada' });
  assert.deepEqual(followed.map(({ texts }) => texts), [['for ada'], ['for ada'], []]);
});

test('tabs that are told not to share have a stream each', async () => {
  for (const hub of [openHub({ shared: false }), openHub({ shared: false })]) follow(hub, 'a');
  await browser.settle();
  assert.equal(server.streams.size, 2);
});

test('a tab that joins late gets its rewind, and each tab its own topics', async () => {
  const first = follow(openHub(), 'a');
  await browser.settle();
  await publish('a', '1');
  await publish('b', '2');
  const late = follow(openHub(), ['a', 'b'], { rewind: 9 });
  await browser.settle();
  await publish('b', '3');
  assert.equal(server.streams.size, 1);
  assert.deepEqual(first.texts, ['1']);
  assert.deepEqual(late.texts, ['1', '2', '3']);
});

test('the leading tab is closed five times: nothing is lost or twice', async () => {
  const tabs = Array.from({ length: 6 }, () => {
    const hub = openHub();
    return { hub, ...follow(hub, 'a') };
  });
  await browser.settle();
  let count = 0;
  for (const { hub } of tabs.slice(0, 5)) {
    await publish('a', String((count += 1)));
    server.publish('a', String((count += 1)));
    hub.env.fire('pagehide', { persisted: false });
    server.publish('a', String((count += 1)));
    await browser.settle();
    assert.equal(server.streams.size, 1);
  }
  const { hub, texts } = tabs[5];
  assert.ok(!hub.states.includes('idle'));
  assert.deepEqual(texts, Array.from({ length: count }, (_, index) => String(index + 1)));
});

test('a follower that missed a message reads it', async () => {
  follow(openHub(), 'a');
  const follower = openHub();
  const { texts } = follow(follower, 'a');
  await browser.settle();
  await publish('a', '1');
  const channels = [...browser.channels].filter(({ name }) => name.includes('0.x'));
  const { onmessage } = channels[1];
  channels[1].onmessage = null;
  await publish('a', '2');
  channels[1].onmessage = onmessage;
  await publish('a', '3');
  await publish('a', '4');
  assert.deepEqual(texts, ['1', '2', '3', '4']);
});

test('after a log-in in one of three tabs nothing of the user before arrives in any', async () => {
  let user = 'ada';
  const tabs = [1, 2, 3].map(() => openHub({ token: async () => user }));
  const followed = tabs.map((hub) => follow(hub, 'a', { rewind: 9 }));
  await browser.settle();
  await publish('a', 'for ada', { user: 'ada' });
  await publish('a', 'of old for bob', { user: 'bob' });
  user = 'bob';
  server.publish('a', 'last for ada', { user: 'ada' });
  tabs[1].identify();
  await browser.settle();
  await publish('a', 'secret of ada', { user: 'ada' });
  await publish('a', 'for bob', { user: 'bob' });
  assert.equal(server.streams.size, 1);
  const [stream] = server.streams;
  assert.equal(stream.user, 'bob');
  for (const { texts } of followed) {
    const others = texts.filter((text) => text !== 'last for ada');
    assert.deepEqual(others, ['for ada', 'of old for bob', 'for bob']);
  }
  assert.ok(!followed[1].texts.includes('last for ada'));
});

test('with a fixed token, a change of the user in another tab ends what this one is told', async () => {
  const fixed = openHub({ token: 'ada' });
  const { texts } = follow(fixed, 'a');
  await browser.settle();
  openHub({ token: async () => 'bob' }).identify();
  await browser.settle();
  await publish('a', 'for ada', { user: 'ada' });
  assert.equal(fixed.state, 'denied');
  assert.deepEqual(texts, []);
});

test('with cookies, the new identity is what tabs share by, and the cookie is asked for again', async () => {
  let renewals = 0;
  const options = { identity: 'ada', renew: async () => void (renewals += 1) };
  const tabs = [openHub(options), openHub(options)];
  for (const hub of tabs) follow(hub, 'a');
  await browser.settle();
  // Only the leader needs it.
  assert.equal(renewals, 1);
  tabs[0].identify('bob');
  await browser.settle();
  assert.equal(renewals, 2);
  assert.equal(server.streams.size, 1);
  assert.ok([...browser.channels].some(({ name }) => name.endsWith(' bob')));
  assert.ok(![...browser.channels].some(({ name }) => name.endsWith(' ada')));
});

test('a getState that fails is named as the reason, until it succeeds', async () => {
  const hub = openHub();
  let isAway = true;
  const getState = async () => {
    if (isAway) throw new Error('the shop is away');
    return { state: 1, cursor: await hub.cursor() };
  };
  hub.subscribe('a', { getState });
  await browser.settle();
  assert.deepEqual([hub.state, hub.detail.reason], ['catching up', 'getState: the shop is away']);
  isAway = false;
  await browser.pass(10_000);
  assert.deepEqual([hub.state, hub.detail.reason], ['live', null]);
});

test('each tab is told that another user is here, before anything of that user comes', async () => {
  const options = { identity: 'ada', renew: async () => {} };
  const tabs = [openHub(options), openHub(options)];
  const told = tabs.map((hub) => {
    const { texts } = follow(hub, 'a');
    hub.addEventListener('userchange', () => texts.push('another user'));
    return texts;
  });
  await browser.settle();
  await publish('a', 'for ada');
  tabs[0].identify('bob');
  await browser.settle();
  await publish('a', 'for bob');
  for (const texts of told) assert.deepEqual(texts, ['for ada', 'another user', 'for bob']);
});

test('a token that cannot be had is told, and asked for again', async () => {
  let calls = 0;
  const token = async () => {
    calls += 1;
    if (calls < 3) throw new Error('the backend is away');
    return 'ada';
  };
  const hub = openHub({ token });
  const { texts } = follow(hub, 'a');
  await browser.settle();
  assert.equal(hub.state, 'denied');
  assert.equal(hub.detail.reason, 'the backend is away');
  assert.ok(hub.detail.retryAt > browser.nowMs);
  await browser.pass(90_000);
  await publish('a', '1');
  assert.equal(hub.state, 'live');
  assert.deepEqual(texts, ['1']);
});

test('a hub that refuses for good: the state says why, and a loop throws', async () => {
  server.onlyPublishes = false;
  server.answers.push(problem(400, 'the topic is no template'));
  const hub = openHub();
  const loop = hub.subscribe('{')[Symbol.asyncIterator]();
  await assert.rejects(
    Promise.all([loop.next(), browser.settle()]),
    (error) => error instanceof DeniedError && error.message === 'the topic is no template',
  );
  await browser.settle();
  assert.deepEqual(hub.states, ['connecting', 'denied', 'idle']);
});

test('cursor() is the newest cursor of the hub', async () => {
  assert.equal(await openHub().cursor(), server.newest);
  assert.equal(server.requests[0].headers.Accept, 'application/json');
});

test('close() leaves no timer, channel, lock, listener or connection', async () => {
  const hubs = [openHub(), openHub(), openHub({ shared: false })];
  for (const hub of hubs) follow(hub, 'a', { rewind: 3, signal: new AbortController().signal });
  await browser.settle();
  for (const hub of hubs) hub.close();
  await browser.settle();
  assert.equal(browser.timerCount, 0);
  assert.equal(browser.channels.size, 0);
  assert.equal(browser.locks.isHeld, false);
  assert.deepEqual(browser.tabs.map(({ listenerCount }) => listenerCount), [0, 0, 0]);
  assert.equal(server.streams.size, 0);
  assert.throws(() => hubs[0].subscribe('a'), /closed/);
});

test('an end is told in every tab, and then the hub has ended', async () => {
  const ends = [];
  const hubs = [openHub(), openHub()];
  hubs.forEach((hub, index) => follow(hub, 'a', { onEnd: () => ends.push(index) }));
  await browser.settle();
  await publish('a', 'last', { end: true });
  assert.deepEqual(ends.toSorted(), [0, 1]);
  assert.deepEqual(hubs.map(({ state }) => state), ['ended', 'ended']);
  assert.equal(server.streams.size, 0);
});

test('what cannot be meant is a TypeError at once, which says what is expected', () => {
  const hub = openHub();
  const wrong = [
    [() => hub.subscribe([]), /topics must be/],
    [() => hub.subscribe(7), /topics must be/],
    [() => hub.subscribe('a', { onevent: () => {} }), /unknown option onevent/],
    [() => hub.subscribe('a', { onEvent: 'f' }), /onEvent must be a function/],
    [() => hub.subscribe('a', { rewind: 0 }), /rewind must be/],
    [() => hub.subscribe('a', { rewind: 1, from: '#1-0' }), /exclude each other/],
    [() => hub.subscribe({ pattern: '/a/:b' }), /needs protocol '1.0'/],
    [() => openHub({ dialect: 'mercure' }).subscribe('a', { rewind: 1 }), /only dialect/],
    [() => openHub({ tokens: 'a' }), /unknown option tokens/],
    [() => openHub({ protocol: '2' }), /protocol must be/],
  ];
  for (const [call, message] of wrong) assert.throws(call, (error) => error instanceof TypeError && message.test(error.message));
});

test('a hub of another kind is asked for nothing that it may not know', async () => {
  const hub = openHub({ dialect: 'mercure' });
  const { texts } = follow(hub, 'a', { from: server.newest });
  await browser.settle();
  await publish('a', '1');
  server.cut();
  await browser.pass(4_000);
  await publish('a', '2');
  assert.deepEqual(texts, ['1', '2']);
  for (const { query, headers } of server.requests) {
    assert.equal(headers.Accept, 'text/event-stream');
    for (const name of ['include', 'heartbeat', 'rewind']) assert.equal(query.has(name), false);
  }
});

test('an address that has no topics is followed whole, by all tabs on one stream', async () => {
  const tabs = [openHub({ dialect: 'mercure' }), openHub({ dialect: 'mercure' })];
  const all = tabs.map((hub) => follow(hub, []).texts);
  await browser.settle();
  await publish('a', '1');
  await publish('b', '2');
  assert.deepEqual(all, [['1', '2'], ['1', '2']]);
  assert.equal(server.streams.size, 1);
});

test('of a hub of another kind, a tab that joins late gets what came since its cursor', async () => {
  const open = () => openHub({ dialect: 'mercure' });
  const first = follow(open(), 'a');
  await browser.settle();
  const cursor = server.newest;
  await publish('a', '1');
  await publish('a', '2');
  const gaps = [];
  const late = follow(open(), 'a', { from: cursor, onGap: (gap) => gaps.push(gap) });
  await browser.settle();
  await publish('a', '3');
  assert.equal(server.streams.size, 1);
  assert.deepEqual([first.texts, late.texts], [['1', '2', '3'], ['1', '2', '3']]);
  assert.deepEqual(gaps, []);
});

test('of a hub of another kind, what it does not replay is told as a gap', async () => {
  const open = () => openHub({ dialect: 'mercure' });
  follow(open(), 'a');
  await browser.settle();
  const cursor = server.newest;
  await publish('a', '1');
  server.log = [];
  const gaps = [];
  const late = follow(open(), 'a', { from: cursor, onGap: (gap) => gaps.push(gap) });
  await browser.pass(16_000);
  assert.deepEqual(gaps, [{ missed: null, from: cursor, isBack: false }]);
  assert.equal(server.streams.size, 1);
  await publish('a', '2');
  assert.deepEqual(late.texts, ['2']);
});
