import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

// Loaded on demand by the client: here at once, as the clock of these tests does not wait for it.
import '../../client/src/token.js';
import '../../client/src/publishing.js';
import { Hub } from '../../client/src/hub.js';
import { FakeBrowser } from './fake_browser.mjs';
import { FakeHub, problem } from './fake_hub.mjs';

let browser;
let server;

beforeEach(() => {
  browser = new FakeBrowser();
  server = new FakeHub();
});

function openHub(options = {}) {
  return new Hub('https://hub.test/.well-known/mercure', options, browser.openTab({ fetch: server.fetch }));
}

test('a publish is a form, with a random id', async () => {
  const hub = openHub({ token: 'ada' });
  const id = await hub.publish(['a', 'b'], { price: 3 }, { private: true, keep: 'forever', type: 'price' });
  const [form] = server.published;
  assert.equal(form.get('id'), id);
  assert.match(id, /^[0-9a-f]{32}$/);
  const others = [...form].filter(([name]) => name !== 'id');
  assert.deepEqual(others, [
    ['topic', 'a'],
    ['topic', 'b'],
    ['data', '{"price":3}'],
    ['private', 'on'],
    ['keep', 'forever'],
    ['type', 'price'],
  ]);
  assert.equal(server.requests[0].headers.Authorization, 'Bearer ada');
  await hub.publish('a', 'text', { private: false });
  assert.equal(server.published[1].get('data'), 'text');
  assert.equal(server.published[1].has('private'), false);
  assert.notEqual(server.published[1].get('id'), id);
});

test('a publish without an answer is sent again with the same id, at most three times', async () => {
  const hub = openHub();
  const html = () => new Response('<p>', { headers: { 'Content-Type': 'text/html' } });
  server.answers.push(new TypeError('fetch failed'), new Response('', { status: 502 }), html());
  const publishing = hub.publish('a', '1', { id: 'mine' });
  await browser.pass(60_000);
  assert.equal(await publishing, 'mine');
  assert.equal(server.requests.length, 4);
  const ids = server.requests.map(({ body }) => new URLSearchParams(String(body)).get('id'));
  assert.deepEqual(new Set(ids), new Set(['mine']));

  server.answers.push(...[1, 2, 3, 4].map(() => problem(503, 'the history is away')));
  const refused = assert.rejects(hub.publish('a', '2'), /the history is away/);
  await browser.pass(60_000);
  await refused;
  assert.equal(server.requests.length, 8);
});

test('a publish waits as long as the hub asks it to', async () => {
  const hub = openHub();
  server.answers.push(problem(503, 'full', { 'Retry-After': '20' }));
  const publishing = hub.publish('a', '1');
  await browser.pass(19_000);
  assert.equal(server.requests.length, 1);
  await browser.pass(4_000);
  await publishing;
});

test('a publish that is refused rejects at once with what the hub says', async () => {
  const hub = openHub();
  server.answers.push(problem(409, 'The topic a has ended.'));
  await assert.rejects(hub.publish('a', '1'), (error) => error.status === 409 && /has ended/.test(error.message));
  assert.equal(server.requests.length, 1);
});

test('a publish with a token that has ended asks for another', async () => {
  const tokens = ['old', 'new'];
  const hub = openHub({ token: () => tokens.shift() });
  server.answers.push(problem(401, 'The token has ended.'));
  await hub.publish('a', '1');
  assert.deepEqual(server.requests.map(({ headers }) => headers.Authorization), ['Bearer old', 'Bearer new']);
});

test('a publish whose signal is aborted is not sent again', async () => {
  const hub = openHub();
  const controller = new AbortController();
  server.answers.push(new TypeError('fetch failed'));
  const publishing = assert.rejects(hub.publish('a', '1', { signal: controller.signal }), { name: 'AbortError' });
  await browser.settle();
  controller.abort();
  await publishing;
  assert.equal(server.requests.length, 1);
});
