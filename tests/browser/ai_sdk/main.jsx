// A chat by the AI SDK's useChat, whose answers go on over a reload and over a cut connection.

import { useChat } from '@ai-sdk/react';
import { APICallError, DefaultChatTransport } from 'ai';
import { useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';

const RETRY_MS = 500;

const address = new URLSearchParams(location.search);
const id = address.get('chat');
const tokens = Number(address.get('tokens'));
const chat = `/api/chat/${encodeURIComponent(id)}`;

// What the tests read. Every status since the page was loaded, and every error.
globalThis.statuses = [];
globalThis.errors = [];

// Firefox holds back a request while another of the same address is under way, in any tab, unless it
// passes the cache by.
const uncached = (url, options) => fetch(url, { ...options, cache: 'no-store' });

const stored = async () => (await uncached(chat)).json();

/** Whether the server was not reached, or could not answer yet. An answer that failed is neither. */
const isAway = (error) =>
  error instanceof TypeError || (APICallError.isInstance(error) && error.statusCode >= 500);

function Chat({ first }) {
  const [isBack, setIsBack] = useState(false);
  const { messages, status, error, sendMessage, setMessages, resumeStream } = useChat({
    id,
    messages: first,
    transport: new DefaultChatTransport({ api: '/api/chat', fetch: uncached }),
    onError: (error) => {
      errors.push(error.message);
      if (isAway(error)) setTimeout(comeBack, RETRY_MS);
    },
  });

  /** Follows the answer that is under way; one that has ended meanwhile is stored. */
  async function comeBack() {
    await resumeStream();
    const kept = await stored().catch(() => []);
    setMessages((shown) => (kept.length < shown.length ? shown : kept));
  }

  // Not the option resume, which does not notice an answer that ends while the page is loaded.
  useEffect(() => void comeBack().then(() => setIsBack(true)), []);

  if (statuses.at(-1) !== status) statuses.push(status);
  globalThis.seen = () => ({
    messages: messages.map(({ id, role, parts }) => ({ id, role, parts })),
    status,
    statuses,
    errors,
  });
  return (
    <>
      <ol>
        {messages.map((message) => (
          <li key={message.id} className={message.role}>
            {message.parts.map((part, index) => part.type === 'text' && <p key={index}>{part.text}</p>)}
          </li>
        ))}
      </ol>
      <p id="status">{status}</p>
      {error && <p id="error">{error.message}</p>}
      <button
        id="send"
        disabled={!isBack || status !== 'ready'}
        onClick={() => sendMessage({ text: 'Why?' }, { body: { tokens } })}
      >
        Send
      </button>
      {/* The run's end ends the response too; stop() of useChat would only cut the connection. */}
      <button id="stop" onClick={() => fetch(chat, { method: 'DELETE' })}>Stop</button>
    </>
  );
}

createRoot(document.getElementById('root')).render(<Chat first={await stored()} />);
