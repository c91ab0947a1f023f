// What the client does with another hub; against_mercure.py starts that and says how to run this.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { connect, DeniedError } from '../../client/src/barestream.js';

const { HUB, TOKEN, STRANGER } = process.env;
const MERCURE = { dialect: 'mercure', protocol: '1.0' };

const hubs = [];
after(() => hubs.forEach((hub) => hub.close()));

function open(options = {}) {
  const hub = connect(HUB, { ...MERCURE, ...options });
  hubs.push(hub);
  return hub;
}

const publisher = open({ token: TOKEN });

/** Resolves once a hub tells a state. */
const state = (hub, wanted) =>
  new Promise((resolve) => {
    const look = () => hub.state === wanted && resolve();
    hub.addEventListener('statechange', look);
    look();
  });

/** A fetch whose n-th answer breaks after so many bytes. */
function breaking(afterBytes) {
  let count = 0;
  const broken = async (...given) => {
    const response = await fetch(...given);
    const most = afterBytes[count++] ?? Infinity;
    let read = 0;
    const cut = new TransformStream({
      transform(chunk, controller) {
        controller.enqueue(chunk.slice(0, Math.max(0, most - read)));
        if ((read += chunk.length) > most) controller.error(new TypeError('cut by the test'));
      },
    });
    const { status, headers } = response;
    const body = response.body.pipeThrough(cut);
    const made = new Response(body, { status, headers });
    // A made answer has no address of its own.
    return Object.defineProperty(made, 'url', { value: response.url });
  };
  return { fetch: broken, requests: () => count };
}

test('an update arrives, with its id and data, where its topic is followed', async () => {
  const hub = open();
  const events = hub.subscribe('https://example.com/one')[Symbol.asyncIterator]();
  const first = events.next();
  await state(hub, 'live');
  await publisher.publish('https://example.com/other', 'not this');
  const id = await publisher.publish('https://example.com/one', { item: 'tea' }, { type: 'order' });
  const { value } = await first;
  assert.deepEqual([value.id, value.type, value.json()], [id, 'order', { item: 'tea' }]);
  hub.close();
});

test('a URL Pattern and several topics are followed', async () => {
  const hub = open();
  const told = [];
  const pattern = { pattern: 'https://example.com/books/:id' };
  const wanted = new Promise((resolve) => {
    const onEvent = ({ data }) => told.push(data) === 2 && resolve();
    hub.subscribe([pattern, 'https://example.com/news'], { onEvent });
  });
  await state(hub, 'live');
  await publisher.publish('https://example.com/books/1/pages', 'no');
  await publisher.publish('https://example.com/books/1', 'a book');
  await publisher.publish('https://example.com/news', 'news');
  await wanted;
  assert.deepEqual(told, ['a book', 'news']);
  hub.close();
});

test('a private update comes with a token alone', async () => {
  const [stranger, reader] = [open(), open({ token: TOKEN })];
  const told = { stranger: [], reader: [] };
  const followed = Object.entries({ stranger, reader }).map(
    ([name, hub]) =>
      new Promise((resolve) => {
        const onEvent = ({ data }) => told[name].push(data) && data === 'public' && resolve();
        hub.subscribe('https://example.com/mixed', { onEvent });
      }),
  );
  await Promise.all([state(stranger, 'live'), state(reader, 'live')]);
  await publisher.publish('https://example.com/mixed', 'private', { private: true });
  await publisher.publish('https://example.com/mixed', 'public');
  await Promise.all(followed);
  assert.deepEqual(told, { stranger: ['public'], reader: ['private', 'public'] });
  stranger.close();
  reader.close();
});

test('nothing is lost or twice over three cuts', async () => {
  const topic = 'https://example.com/cut';
  const cuts = breaking([2_000, 3_000, 4_000]);
  const hub = open({ fetch: cuts.fetch, shared: false });
  const sent = Array.from({ length: 200 }, (_, n) => `event ${n}`);
  const told = [];
  const whole = new Promise((resolve) => {
    hub.subscribe(topic, { onEvent: ({ data }) => told.push(data) === sent.length && resolve() });
  });
  await state(hub, 'live');
  for (const data of sent) await publisher.publish(topic, data);
  await whole;
  assert.deepEqual(told, sent);
  assert.equal(cuts.requests(), 4);
  hub.close();
});

test('a subscription goes on from the cursor of an earlier one', async () => {
  const topic = 'https://example.com/from';
  const hub = open();
  const first = await new Promise((resolve) => {
    const subscription = hub.subscribe(topic, { onEvent: () => setTimeout(resolve, 0, subscription) });
    state(hub, 'live').then(() => publisher.publish(topic, 'one'));
  });
  const { cursor } = first;
  first.close();
  await publisher.publish(topic, 'two');
  await publisher.publish(topic, 'three');
  const told = [];
  for await (const { data } of hub.subscribe(topic, { from: cursor })) {
    if (told.push(data) === 2) break;
  }
  assert.deepEqual(told, ['two', 'three']);
  hub.close();
});

test('a refused token is told, and ends the loop', async () => {
  const hub = open({ token: STRANGER });
  await assert.rejects(async () => {
    for await (const _ of hub.subscribe('https://example.com/one'));
  }, DeniedError);
  assert.deepEqual([hub.state, hub.detail.status], ['denied', 401]);
  await assert.rejects(hub.publish('https://example.com/one', 'no'));
  hub.close();
});

test('what the hub does not have is refused at once', () => {
  assert.throws(() => open().subscribe('https://example.com/one', { rewind: 1 }), TypeError);
});
