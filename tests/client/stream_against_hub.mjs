/**
 * The stream alone on Node, against a hub that runs: HUB_URL, TOKEN (may publish and read all), and
 * TOKEN_KEY, by which tokens of a few seconds are made. test_stream_against_hub.py starts it.
 */

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { pages } from '../../client/src/reads.js';
import { HubRequest } from '../../client/src/request.js';
import { Stream } from '../../client/src/stream.js';
import { Token } from '../../client/src/token.js';

const { HUB_URL: url, TOKEN, TOKEN_KEY } = process.env;
const PATIENCE_MS = 60_000;

async function publish(topic, data, fields = {}) {
  const body = new URLSearchParams({ topic, data, ...fields });
  const headers = { Authorization: `Bearer ${TOKEN}` };
  const response = await fetch(url, { method: 'POST', headers, body });
  assert.equal(response.status, 200, await response.clone().text());
  return response.text();
}

async function until(what, isSo) {
  const endMs = Date.now() + PATIENCE_MS;
  while (!isSo()) {
    if (Date.now() > endMs) assert.fail(`not in time: ${what}`);
    await sleep(10);
  }
}

async function all(answers) {
  const every = [];
  for await (const answer of answers) every.push(answer);
  return every;
}

function open(context, { keys, token = { token: TOKEN }, at = url }) {
  const request = new HubRequest({ url: at });
  const stream = new Stream({ request, token: new Token(token), keys });
  const told = { data: [], gaps: 0, details: [], longestMs: 0 };
  let lastMs = null;
  stream.onBatch = (batch) => {
    for (const raw of batch) {
      if (raw.kind === 'gap') told.gaps += 1;
      else told.data.push(raw.data);
    }
    if (lastMs !== null) told.longestMs = Math.max(told.longestMs, Date.now() - lastMs);
    lastMs = Date.now();
  };
  stream.onDetail = (detail) => told.details.push(detail);
  stream.start();
  context.after(() => stream.stop());
  return { stream, told, request };
}

/** A token that may read all, and that ends within some seconds. */
function shortToken(seconds) {
  const part = (content) => Buffer.from(content).toString('base64url');
  const exp = Math.floor(Date.now() / 1_000) + seconds;
  const claims = JSON.stringify({ mercure: { subscribe: ['*'] }, exp });
  const signed = `${part('{"alg": "HS256", "typ": "JWT"}')}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', TOKEN_KEY).update(signed).digest('base64url')}`;
}

/** A proxy on a port of its own that passes on what a request got once it is whole. */
async function bufferingProxy(context) {
  const server = createServer(async (request, response) => {
    const abort = new AbortController();
    response.on('close', () => abort.abort());
    try {
      const { accept, authorization } = request.headers;
      const search = new URL(request.url, url).search;
      const answer = await fetch(url + search, { headers: { accept, authorization }, signal: abort.signal });
      const body = Buffer.from(await answer.arrayBuffer());
      response.writeHead(answer.status, { 'Content-Type': answer.headers.get('Content-Type') });
      response.end(body);
    } catch {
      response.destroy();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}/`;
}

const CONCURRENTLY = { concurrency: true };

test('a stream on a real hub', CONCURRENTLY, async (context) => {
  const topicOf = (name) => `/stream/${process.pid}/${name}`;

  const parts = {
    'a private update comes with the numbers of its topics, its own id and its end': async (t) => {
      const [a, b] = [topicOf('a'), topicOf('b;1')];
      const { stream, request } = open(t, { keys: [a, b] });
      const raws = [];
      stream.onBatch = (batch) => raws.push(...batch);
      await stream.covered([a, b]);
      const body = JSON.stringify({ topic: [b, a], data: 'x', id: 'own;1', private: true, end: true });
      const headers = { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' };
      assert.equal((await fetch(url, { method: 'POST', headers, body })).status, 200);
      await until('the update', () => raws.length === 1);
      const { keys, topic, id, ends, replay } = raws[0];
      assert.deepEqual({ keys: keys.toSorted(), topic, id, ends, replay }, {
        keys: [a, b].toSorted(),
        topic: b,
        id: 'own;1',
        ends: true,
        replay: false,
      });
      const token = new Token({ token: TOKEN });
      const read = await all(pages({ request, token, keys: [b], params: { rewind: 5 } }));
      assert.deepEqual(read.map(({ events, ended }) => [events.map((event) => event.ends), ended]), [[[true], true]]);
    },

    'what is published between covered() and the read is in one of both': async (t) => {
      const topic = topicOf('covered');
      for (let data = 0; data < 5; data += 1) await publish(topic, `${data}`);
      const { stream, told, request } = open(t, { keys: [topic] });
      await stream.covered([topic]);
      await publish(topic, '5');
      const token = new Token({ token: TOKEN });
      const [answer] = await all(pages({ request, token, keys: [topic], params: { rewind: 3 } }));
      assert.deepEqual(answer.events.map(({ data }) => data), ['3', '4', '5']);
      await publish(topic, '6');
      await until('the update', () => told.data.includes('6'));
      assert.deepEqual(told.data, ['5', '6']);
    },

    'tokens of six seconds are renewed under load: nothing is lost or twice': async (t) => {
      const topic = topicOf('tokens');
      let asked = 0;
      const token = () => {
        asked += 1;
        return shortToken(6);
      };
      const { stream, told } = open(t, { keys: [topic], token: { token } });
      await stream.covered([topic]);
      const sent = [];
      for (const endMs = Date.now() + 30_000; Date.now() < endMs; await sleep(50)) {
        sent.push(`${sent.length}`);
        await publish(topic, sent.at(-1), { private: 'on' });
      }
      await until('all', () => told.data.at(-1) === sent.at(-1));
      assert.deepEqual(told.data, sent);
      assert.equal(told.gaps, 0);
      assert.ok(asked >= 4, `${asked} tokens`);
      console.log(`longest silence with tokens of six seconds: ${told.longestMs} ms`);
    },

    'behind a proxy that holds streams back, reads bring all that a stream would': async (t) => {
      const topic = topicOf('held-back');
      const { stream, told } = open(t, { keys: [topic], at: await bufferingProxy(t) });
      await until('reads', () => stream.detail.via === 'reads' && stream.detail.state === 'live');
      const sent = Array.from({ length: 30 }, (_, index) => `${index}`);
      for (const data of sent) await publish(topic, data, { private: 'on' });
      await until('all', () => told.data.length >= sent.length);
      assert.deepEqual([told.data, told.gaps], [sent, 0]);
      assert.equal(stream.detail.reason, 'a proxy holds streams back');
    },
  };
  await Promise.all(Object.entries(parts).map(([name, part]) => context.test(name, part)));
});
