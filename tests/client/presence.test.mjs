import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

// Loaded on demand by the client: here at once, as the clock of these tests does not wait for it.
import '../../client/src/hiding.js';
import '../../client/src/presence.js';
import '../../client/src/token.js';
import { Hub } from '../../client/src/hub.js';
import { FakeBrowser } from './fake_browser.mjs';
import { FakeHub, problem } from './fake_hub.mjs';

const URL_OF_HUB = 'https://hub.test/.well-known/mercure';
const ROOM = '/rooms/1';

let browser;
let server;

beforeEach(() => {
  browser = new FakeBrowser();
  server = new FakeHub();
});

function openHub({ url = URL_OF_HUB, ...options } = {}, tabOptions = {}) {
  const env = browser.openTab({ fetch: server.fetch, ...tabOptions });
  const hub = new Hub(url, options, env);
  hub.env = env;
  return hub;
}

/** Presence, and what it has told: `+ada` joined, `-ada` left. */
function watch(hub, options = {}, topic = ROOM) {
  const told = [];
  const lists = [];
  const presence = hub.presence(topic, {
    onJoined: ({ id }) => told.push(`+${id}`),
    onLeft: ({ id }) => told.push(`-${id}`),
    onChange: (members) => lists.push([...members.keys()].join()),
    ...options,
  });
  return { presence, told, lists, ids: () => [...presence.members.keys()].sort().join() };
}

/** The hub's fetch, but for the requests to one of its addresses. */
function without(name, answer) {
  return (url, options) => {
    const isThere = new URL(url).pathname.endsWith(`/${name}`);
    return isThere ? answer(url, options) : server.fetch(url, options);
  };
}

function requestsTo(name) {
  return server.requests.filter(({ url }) => new URL(url).pathname.endsWith(`/${name}`));
}

// The members.

test('those who are there are told at once, and then who joins and who leaves', async () => {
  server.join(ROOM, 'ada', { name: 'Ada' });
  server.join(ROOM, 'bob');
  const { presence, told, lists, ids } = watch(openHub());
  assert.equal(presence.members.size, 0);
  await browser.settle();
  assert.deepEqual([lists, told], [['ada,bob'], []]);
  assert.deepEqual(presence.members.get('ada'), { id: 'ada', payload: { name: 'Ada' } });
  assert.deepEqual(presence.members.get('bob'), { id: 'bob', payload: null });
  server.join(ROOM, 'cyd', 7);
  server.part(ROOM, 'ada');
  await browser.settle();
  assert.deepEqual([told, ids()], [['+cyd', '-ada'], 'bob,cyd']);
  assert.deepEqual(lists, ['ada,bob', 'ada,bob,cyd', 'bob,cyd']);
});

test('where nobody is there, that is told too', async () => {
  const { lists } = watch(openHub());
  await browser.settle();
  assert.deepEqual(lists, ['']);
});

test('who joins and leaves before the list has come is there once, and no ghost', async () => {
  let send;
  server.listsSent = new Promise((resolve) => (send = resolve));
  server.join(ROOM, 'ada');
  const { told, ids } = watch(openHub());
  await browser.settle();
  server.join(ROOM, 'bob');
  server.part(ROOM, 'ada');
  await browser.settle();
  assert.equal(ids(), '');
  send();
  await browser.settle();
  assert.deepEqual([told, ids()], [['+bob', '-ada'], 'bob']);
});

test('a change that is in the list already is not told again', async () => {
  server.changeUnseen(ROOM, { joined: ['ada'] });
  const { told, ids } = watch(openHub());
  await browser.settle();
  server.join(ROOM, 'ada');
  server.publish('/.well-known/mercure/presence/%2Frooms%2F1', '{"member": {"id": "bob"}}', {
    type: 'barestream.left',
  });
  await browser.settle();
  assert.deepEqual([told, ids()], [[], 'ada']);
});

test('who leaves and joins again is told twice, and is there', async () => {
  server.join(ROOM, 'ada');
  const { told, ids } = watch(openHub());
  await browser.settle();
  server.part(ROOM, 'ada');
  server.join(ROOM, 'ada');
  await browser.settle();
  assert.deepEqual([told, ids()], [['-ada', '+ada'], 'ada']);
});

test('after a gap the list is read again, and what has changed is told', async () => {
  server.join(ROOM, 'ada');
  server.join(ROOM, 'bob');
  const { told, ids } = watch(openHub());
  await browser.settle();
  server.changeUnseen(ROOM, { joined: ['cyd'], left: ['ada'] });
  server.forget();
  await browser.settle();
  assert.deepEqual([told, ids(), requestsTo('presence').length], [['-ada', '+cyd'], 'bob,cyd', 2]);
  server.forget();
  await browser.settle();
  assert.deepEqual(told, ['-ada', '+cyd']);
});

test('what happens while the stream is away is told once it is back', async () => {
  server.join(ROOM, 'ada');
  const { told, ids } = watch(openHub());
  await browser.settle();
  server.cut();
  server.part(ROOM, 'ada');
  server.join(ROOM, 'bob');
  await browser.pass(4_000);
  assert.deepEqual([told, ids(), requestsTo('presence').length], [['-ada', '+bob'], 'bob', 1]);
});

test('a topic is encoded as the hub does it, and the parameters of its address stay', async () => {
  const topic = "https://shop.test/a b?c=(d)&e='!*~";
  watch(openHub({ url: `${URL_OF_HUB}?site=7` }), {}, topic);
  await browser.settle();
  const [request] = requestsTo('presence');
  const encoded = 'https%3A%2F%2Fshop.test%2Fa%20b%3Fc%3D%28d%29%26e%3D%27%21%2A~';
  assert.equal(request.url, `${URL_OF_HUB}/presence?site=7&topic=${encoded}`);
  assert.equal(request.query.get('topic'), topic);
  const [stream] = server.streams;
  assert.deepEqual(stream.topics, [`/.well-known/mercure/presence/${encoded}`]);
});

test('two pages of different topics have one stream, and each its own members', async () => {
  const hub = openHub();
  const [one, two] = [watch(hub), watch(hub, {}, '/rooms/2')];
  await browser.settle();
  server.join(ROOM, 'ada');
  server.join('/rooms/2', 'bob');
  await browser.settle();
  assert.deepEqual([one.ids(), two.ids(), server.streams.size], ['ada', 'bob', 1]);
});

for (const [how, close] of [
  ['close()', ({ presence }) => presence.close()],
  ['its signal', (_, controller) => controller.abort()],
]) {
  test(`after ${how} nothing is told, and the stream goes`, async () => {
    const controller = new AbortController();
    const watched = watch(openHub(), { signal: controller.signal });
    await browser.settle();
    close(watched, controller);
    await browser.settle();
    server.join(ROOM, 'ada');
    await browser.settle();
    assert.deepEqual([watched.told, server.streams.size], [[], 0]);
  });

  test(`${how} within the same tick opens no stream`, async () => {
    const controller = new AbortController();
    close(watch(openHub(), { signal: controller.signal }), controller);
    await browser.settle();
    assert.equal(server.requests.length, 0);
  });
}

test('with a signal that was aborted before, nothing is asked for', async () => {
  watch(openHub(), { signal: AbortSignal.abort() });
  await browser.settle();
  assert.equal(server.requests.length, 0);
});

test('another user begins with an empty list', async () => {
  server.join(ROOM, 'ada');
  const hub = openHub({ identity: 'ada' });
  const { told, lists } = watch(hub);
  await browser.settle();
  hub.identify('bob');
  assert.deepEqual(lists, ['ada', '']);
  server.join(ROOM, 'bob');
  await browser.settle();
  assert.deepEqual([told, lists], [[], ['ada', '', 'ada,bob']]);
});

test('whoever may not read the list is denied, and asks no more', async () => {
  let lists = 0;
  const refuse = async () => problem(403, `no right, asked ${(lists += 1)} times`);
  const hub = openHub({}, { fetch: without('presence', refuse) });
  const watched = watch(hub);
  await browser.pass(60_000);
  const { state, status, reason } = hub.detail;
  assert.deepEqual([state, status, reason], ['denied', 403, 'no right, asked 1 times']);
  assert.deepEqual([watched.lists, lists], [[], 1]);
});

test('a hub that has no list at this time is asked again', async () => {
  let isAway = true;
  const answer = async (...asked) => (isAway ? problem(404, 'Not here') : server.fetch(...asked));
  server.join(ROOM, 'ada');
  const { ids } = watch(openHub({}, { fetch: without('presence', answer) }));
  await browser.pass(10_000);
  assert.equal(ids(), '');
  isAway = false;
  await browser.pass(15_000);
  assert.equal(ids(), 'ada');
});

test('a callback that fails is reported, and the others are called', async () => {
  const hub = openHub();
  const fail = () => {
    throw new Error('mine');
  };
  const { lists } = watch(hub, { onJoined: fail });
  await browser.settle();
  server.join(ROOM, 'ada');
  await browser.settle();
  assert.deepEqual(lists, ['', 'ada']);
  assert.deepEqual(hub.env.reported.map(({ message }) => message), ['mine']);
});

test('what is no topic and no option is refused at once', () => {
  const hub = openHub();
  for (const topic of ['', undefined, ['/a'], { pattern: '/a' }]) {
    assert.throws(() => hub.presence(topic), /presence: topic must be a string/);
  }
  assert.throws(() => hub.presence('/a', { onJoin() {} }), /presence: unknown option onJoin; known: /);
  assert.throws(() => openHub({ dialect: 'mercure' }).presence('/a'), /only dialect 'barestream'/);
});

// Leaving.

function streamNames() {
  const streams = server.requests.filter(({ headers }) => headers.Accept === 'text/event-stream');
  return streams.map(({ query }) => query.get('client'));
}

test('each stream has a name of its own, which it keeps', async () => {
  for (const options of [{ token: 'ada' }, { token: 'bob' }, { shared: false }]) openHub(options).subscribe(ROOM);
  await browser.settle();
  server.cut();
  await browser.pass(4_000);
  const names = streamNames();
  assert.deepEqual([names.length, new Set(names).size], [6, 3]);
  for (const name of names) assert.match(name, /^[A-Za-z0-9_-]{1,64}$/);
});

test('another hub is shown no name', async () => {
  openHub({ dialect: 'mercure' }).subscribe(ROOM);
  await browser.settle();
  assert.deepEqual(streamNames(), [null]);
});

for (const shared of [true, false]) {
  const where = shared ? 'of the only tab' : 'that is not shared';

  test(`a stream ${where}: whoever leaves a topic tells the hub, and keeps the others`, async () => {
    const hub = openHub({ shared, token: 'ada' });
    for (const topics of [ROOM, [ROOM, '/rooms/2'], '/rooms/3']) hub.subscribe(topics);
    await browser.settle();
    await hub.leave(ROOM);
    assert.deepEqual(server.left, [], 'another subscription has it');
    await hub.leave([ROOM, '/rooms/2']);
    const [client] = streamNames();
    assert.deepEqual(server.left, [{ topic: '/rooms/2', client, after_seconds: '0' }]);
    const [request] = requestsTo('leave');
    assert.equal(request.body.getAll('topic').join(), `${ROOM},/rooms/2`);
    assert.equal(request.headers.Authorization, 'Bearer ada');
    await browser.settle();
    assert.deepEqual([...server.streams].map(({ topics }) => topics), [['/rooms/3']]);
  });

  test(`a stream ${where}: whoever leaves as a whole is gone until another user is there`, async () => {
    const hub = openHub({ shared, identity: 'ada' });
    const texts = [];
    hub.subscribe(ROOM, { onEvent: ({ data }) => texts.push(data) });
    await browser.settle();
    await hub.leave();
    await browser.settle();
    const [client] = streamNames();
    assert.deepEqual(server.left, [{ client, after_seconds: '0' }]);
    hub.subscribe('/rooms/2');
    await browser.pass(30_000);
    assert.deepEqual([server.streams.size, hub.state], [0, 'idle']);
    hub.identify('bob');
    await browser.settle();
    server.publish(ROOM, 'for bob');
    await browser.settle();
    assert.deepEqual([server.streams.size, texts], [1, ['for bob']]);
  });
}

test('in 1.0 topics are named as matches', async () => {
  const hub = openHub({ protocol: '1.0' });
  hub.subscribe([ROOM, { pattern: '/rooms/:id' }]);
  await browser.settle();
  await hub.leave([ROOM, { pattern: '/rooms/:id' }]);
  const [{ client, after_seconds, ...topics }] = server.left;
  assert.deepEqual(topics, { match: ROOM, match_urlpattern: '/rooms/:id' });
});

test('a hub that does not answer keeps nobody from leaving', async () => {
  const silent = ({ signal }) =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const hub = openHub({}, { fetch: without('leave', (_, options) => silent(options)) });
  hub.subscribe(ROOM);
  await browser.settle();
  let isOver = false;
  hub.leave().then(() => (isOver = true));
  await browser.settle();
  assert.equal(server.streams.size, 0);
  await browser.pass(6_000);
  assert.ok(isOver);
});

test('a hub without presence keeps nobody from leaving', async () => {
  const hub = openHub({}, { fetch: without('leave', async () => problem(404, 'Not Found')) });
  hub.subscribe(ROOM);
  await browser.settle();
  await hub.leave();
  assert.deepEqual([hub.env.reported, server.streams.size], [[], 0]);
});

test('before there is a stream nothing is told', async () => {
  const hub = openHub();
  await hub.leave(ROOM);
  await hub.leave();
  assert.equal(server.requests.length, 0);
});

test('whoever looks at the members leaves the topic and looks on', async () => {
  const hub = openHub();
  const { ids } = watch(hub);
  hub.subscribe(ROOM);
  await browser.settle();
  await hub.leave(ROOM);
  await browser.settle();
  server.join(ROOM, 'ada');
  await browser.settle();
  assert.deepEqual([server.left.length, ids()], [1, 'ada']);
});

// Several tabs.

async function openTabs(...topics) {
  const hubs = topics.map((each) => {
    const hub = openHub({ identity: 'ada' });
    hub.watched = watch(hub);
    hub.subscribe(each);
    return hub;
  });
  await browser.settle();
  return hubs;
}

test('tabs that share a stream have the same members', async () => {
  server.join(ROOM, 'ada');
  const hubs = await openTabs(ROOM, ROOM, ROOM);
  server.join(ROOM, 'bob');
  await browser.settle();
  assert.equal(server.streams.size, 1);
  assert.deepEqual(hubs.map(({ watched }) => [watched.ids(), watched.told]), Array(3).fill(['ada,bob', ['+bob']]));
});

test('whoever leaves a topic in one tab has left it once no other tab has it', async () => {
  const hubs = await openTabs(ROOM, ROOM, ROOM);
  // Followers first, and the leader last.
  for (const hub of hubs.reverse()) {
    assert.deepEqual(server.left, []);
    await hub.leave(ROOM);
    await browser.settle();
  }
  const [client] = streamNames();
  assert.deepEqual(server.left, [{ topic: ROOM, client, after_seconds: '0' }]);
});

test('the last one who has a topic may be a follower', async () => {
  const hubs = await openTabs('/rooms/2', ROOM);
  await hubs[1].leave(ROOM);
  await browser.settle();
  assert.deepEqual(server.left.map(({ topic }) => topic), [ROOM]);
});

test('whoever leaves in one tab leaves in all, by the name of their stream', async () => {
  for (const at of [0, 2]) {
    beginAnew();
    const hubs = await openTabs(ROOM, ROOM, ROOM);
    await hubs[at].leave();
    await browser.settle();
    assert.equal(server.streams.size, 0);
    const names = new Set(streamNames());
    assert.equal(names.size, 1);
    assert.deepEqual(server.left, [{ client: [...names][0], after_seconds: '0' }]);
    hubs[at].identify('bob');
    await browser.settle();
    assert.equal(server.streams.size, 1);
  }
});

function beginAnew() {
  browser = new FakeBrowser();
  server = new FakeHub();
}

test('the name stays when another tab takes the stream over', async () => {
  const hubs = await openTabs(ROOM, ROOM);
  hubs[0].env.fire('pagehide');
  hubs[0].close();
  await browser.settle();
  await hubs[1].leave();
  const names = new Set(streamNames());
  assert.deepEqual([names.size, server.left.length], [1, 1]);
  assert.ok(names.has(server.left[0].client));
});

test('a page that is going may say so, if no other tab has the topic', async () => {
  for (const [topics, at, isTold] of [
    [[ROOM], 0, true],
    [[ROOM, '/rooms/2'], 0, true],
    [['/rooms/2', ROOM], 1, true],
    [[ROOM, ROOM], 0, false],
    [[ROOM, ROOM], 1, false],
  ]) {
    beginAnew();
    const hubs = await openTabs(...topics);
    const hub = hubs[at];
    // After the client's own listeners, as they are in a page.
    hub.env.addEventListener('pagehide', () => hub.leave(ROOM));
    hub.env.fire('pagehide');
    await browser.settle();
    assert.deepEqual(server.left.map(({ topic }) => topic), isTold ? [ROOM] : [], `${topics} ${at}`);
  }
});

test('a page that is going sends its request before it is gone', async () => {
  const [hub] = await openTabs(ROOM);
  hub.leave(ROOM);
  // Only what follows at once, by promises, still runs.
  await new Promise((resolve) => process.nextTick(resolve));
  for (let turn = 0; turn < 50; turn += 1) await null;
  assert.equal(server.left.length, 1);
});

// Hidden tabs that cannot share.

const ALONE = { hasLocks: false, hasWorkers: false };

async function hide() {
  const hub = openHub({}, ALONE);
  hub.subscribe(ROOM);
  await browser.settle();
  hub.env.hide();
  await browser.pass(61_000);
  return hub;
}

function leftAfter() {
  return server.left.map(({ client, after_seconds }) => [client, Number(after_seconds)]);
}

test('a hidden tab that lets go of its stream tells the hub that its user is there', async () => {
  const hub = await hide();
  const [client] = streamNames();
  assert.deepEqual([server.streams.size, leftAfter()], [0, [[client, 3_600]]]);
  hub.env.show();
  await browser.settle();
  assert.deepEqual([server.streams.size, server.left.length, new Set(streamNames()).size], [1, 1, 1]);
});

test('one that is closed then is gone after the usual grace, and one that is frozen is there', async () => {
  for (const [type, told] of [
    ['pagehide', [3_600, 10]],
    ['freeze', [3_600]],
  ]) {
    beginAnew();
    const hub = await hide();
    hub.env.fire(type);
    await browser.settle();
    assert.deepEqual(leftAfter().map(([, seconds]) => seconds), told);
  }
});
