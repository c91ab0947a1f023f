// What the modules give to a page is what barestream.d.ts says, name by name.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import * as client from '../../client/src/barestream.js';
import { HubEvent } from '../../client/src/hub_event.js';

const types = await readFile(new URL('../../client/barestream.d.ts', import.meta.url), 'utf8');

/** The names of an interface or a class of barestream.d.ts, sorted. */
function declared(name) {
  const [, body] = types.match(new RegExp(`export (?:interface|class) ${name}\\b.*? \\{\\n(.*?)\\n\\}`, 's'));
  const members = body.matchAll(/^ {2}(?:readonly )?([\w.[\]]+)\??[:(<]/gm);
  return [...new Set([...members].map(([, member]) => member))].sort();
}

/** The names of an object, without those that each object of a base class has, sorted. */
function members(object, base = Object) {
  const names = new Set();
  for (let each = object; each !== base.prototype; each = Object.getPrototypeOf(each)) {
    for (const name of Reflect.ownKeys(each)) names.add(name);
  }
  for (const name of ['constructor', ...Reflect.ownKeys(new base())]) names.delete(name);
  return [...names].map((name) => (typeof name === 'symbol' ? `[${name.description}]` : name)).sort();
}

/** The options that a function knows, by its complaint about one that it does not know. */
async function known(call) {
  let message;
  try {
    await call({ nothing: 1 });
  } catch (error) {
    assert.ok(error instanceof TypeError);
    ({ message } = error);
  }
  return message.match(/known: (.*)/)[1].split(', ').sort();
}

const never = () => new Promise(() => {});
const connect = () => client.connect('http://hub.example/', { fetch: never, shared: false });

test('the package has the exports of its types', () => {
  const values = types.matchAll(/^export (?:function|class|const) (\w+)/gm);
  assert.deepEqual(Object.keys(client).sort(), [...values].map(([, name]) => name).sort());
});

test('a hub has the members of its type, and tells a state of its type', () => {
  const hub = connect();
  const ofEventTarget = ['addEventListener', 'removeEventListener'];
  assert.deepEqual(
    members(hub, EventTarget),
    declared('Hub').filter((name) => !ofEventTarget.includes(name)),
  );
  assert.deepEqual(members(hub.detail), declared('Detail'));
  hub.close();
});

test('a subscription and an event have the members of their types', () => {
  const hub = connect();
  assert.deepEqual(members(hub.subscribe('/a')), declared('Subscription'));
  hub.close();
  assert.deepEqual(members(new HubEvent({})), declared('HubEvent'));
});

test('presence has the members of its type', () => {
  const hub = connect();
  assert.deepEqual(members(hub.presence('/a')), declared('Presence'));
  hub.close();
});

test('a refusal has its status', () => {
  const { status, message, name } = new client.DeniedError('refused', 403);
  assert.deepEqual([status, message, name], [403, 'refused', 'DeniedError']);
  assert.deepEqual(declared('DeniedError'), ['status']);
});

test('the options are those of their types', async () => {
  const hub = connect();
  assert.deepEqual(await known((options) => client.connect('http://hub.example/', options)), declared('Options'));
  const subscribe = new Set([...declared('Callbacks'), ...declared('FromState')]);
  assert.deepEqual(await known((options) => hub.subscribe('/a', options)), [...subscribe].sort());
  assert.deepEqual(await known((options) => hub.presence('/a', options)), declared('PresenceOptions'));
  const publish = await known((options) => hub.publish('/a', 'data', options));
  assert.deepEqual(publish, declared('PublishOptions'));
  hub.close();
});
