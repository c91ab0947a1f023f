// The transport for useChat with answers that are made up; test_chat_transport_alone.py runs it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RunChatTransport } from 'barestream/ai-sdk';

const START = { type: 'start', messageId: 'answer-1' };
const BEGIN = { type: 'text-start', id: 'text' };
const word = (delta) => ({ type: 'text-delta', id: 'text', delta });
const FINISH = [{ type: 'text-end', id: 'text' }, { type: 'finish' }];
const WHOLE = [START, BEGIN, word('one '), word('two'), ...FINISH];

const lines = (chunks) => chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join('');

/** A whole answer. */
const whole = (chunks) => () => new Response(`${lines(chunks)}data: [DONE]\n\n`);

/** One that a proxy has ended properly after these chunks. */
const ended = (chunks) => () => new Response(lines(chunks));

/** One whose connection breaks after these chunks. */
function broken(chunks) {
  const encoder = new TextEncoder();
  const parts = [lines(chunks)];
  return () =>
    new Response(
      new ReadableStream({
        pull(controller) {
          if (parts.length) controller.enqueue(encoder.encode(parts.shift()));
          else controller.error(new TypeError('network error'));
        },
      }),
    );
}

const status = (code) => () => new Response(code === 204 ? null : 'no', { status: code });

/** A transport whose requests get these answers, one after another. */
function answered(...answers) {
  const asked = [];
  const idle = [];
  const transport = new RunChatTransport({
    fetch: async (url, { method, cache }) => {
      asked.push(`${method} ${url} ${cache}`);
      return answers.shift()();
    },
    onIdle: (chat) => idle.push(chat),
  });
  return { transport, asked, idle };
}

async function read(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

/** Whether chunks are the first of the answer. A stream that breaks drops those that nobody has read. */
const isBeginning = (chunks) => JSON.stringify(chunks) === JSON.stringify(WHOLE.slice(0, chunks.length));

const CHAT = { chatId: 'a/b', messages: [], trigger: 'submit-message' };

for (const [how, cut] of Object.entries({ ended, broken })) {
  test(`an answer that is ${how} before its end goes on, and no chunk comes twice`, async () => {
    const { transport, asked } = answered(cut(WHOLE.slice(0, 3)), cut(WHOLE.slice(0, 4)), whole(WHOLE));
    assert.deepEqual(await read(await transport.sendMessages(CHAT)), WHOLE);
    const again = 'GET /api/chat/a%2Fb/stream no-store';
    assert.deepEqual(asked, ['POST /api/chat no-store', again, again]);
  });
}

test('a server that cannot answer yet is asked again', async () => {
  const { transport } = answered(ended(WHOLE.slice(0, 3)), status(502), whole(WHOLE));
  assert.deepEqual(await read(await transport.sendMessages(CHAT)), WHOLE);
});

test('an answer that has ended during the cut is loaded by the page', async () => {
  const { transport, idle } = answered(ended(WHOLE.slice(0, 3)), status(204));
  assert.ok(isBeginning(await read(await transport.sendMessages(CHAT))));
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(idle, ['a/b']);
});

test('chunks of the next run are not joined to those of the one before', async () => {
  const next = [{ ...START, messageId: 'answer-2' }, ...WHOLE.slice(1)];
  const { transport, idle } = answered(ended(WHOLE.slice(0, 3)), whole(next));
  assert.ok(isBeginning(await read(await transport.sendMessages(CHAT))));
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(idle, ['a/b']);
});

test('a refusal is an error, and no reason to ask again', async () => {
  const { transport, asked } = answered(ended(WHOLE.slice(0, 3)), status(403));
  await assert.rejects(transport.sendMessages(CHAT).then(read), { statusCode: 403 });
  assert.equal(asked.length, 2);
});

test('a message that did not reach the server is not sent again', async () => {
  const { transport, asked } = answered(status(502));
  await assert.rejects(transport.sendMessages(CHAT), { statusCode: 502 });
  assert.equal(asked.length, 1);
});

test('an abort ends the wait for a server that is away', async () => {
  const aborting = new AbortController();
  const { transport } = answered(() => {
    setTimeout(() => aborting.abort(), 0);
    return status(502)();
  });
  const options = { chatId: 'a/b', abortSignal: aborting.signal };
  await assert.rejects(transport.reconnectToStream(options), { name: 'AbortError' });
});

test('where no answer is under way there is no stream, and the page loads what is stored', async () => {
  const { transport, idle } = answered(status(204));
  assert.equal(await transport.reconnectToStream({ chatId: 'a/b' }), null);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(idle, ['a/b']);
});

test('a stop asks the backend, and says so where that has not stopped', async () => {
  const { transport, asked } = answered(status(202), status(500));
  await transport.stop('a/b');
  assert.deepEqual(asked, ['DELETE /api/chat/a%2Fb no-store']);
  await assert.rejects(transport.stop('a/b'), /not stopped: DELETE .* gave 500/);
});
