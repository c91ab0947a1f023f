/**
 * Publishes an update. Each has an id, so that the hub takes it once, however often it is sent.
 *
 * Most pages publish nothing, so it is loaded by the first that does. It imports nothing: modules that
 * two chunks share would each cost a page a request.
 */

const RETRIES = 3;

/** @type {Record<string, string>} */
const OPTIONS = {
  private: 'a boolean',
  id: 'a string',
  type: 'a string',
  retry: 'a number',
  keep: 'a number or forever',
  end: 'a number or true',
  signal: 'an AbortSignal',
};

/**
 * @param {object} update
 * @param {string[]} update.topics
 * @param {any} update.data a string as it is, anything else as JSON
 * @param {any} [update.options] as Hub.publish takes them
 * @param {object} client
 * @param {typeof import('./options.js').checkOptions} client.checkOptions
 * @param {typeof import('./asking.js').insist} client.insist
 * @param {(body: URLSearchParams, signal: AbortSignal) => Promise<Response>} client.post
 * @param {any} client.env
 * @returns {Promise<string>} the update's id
 * @throws {TypeError} where the update cannot be one
 * @throws {import('./refusal.js').Refusal} where the hub refuses, or does not answer to the last attempt
 */
export async function publish({ topics, data, options = {} }, { checkOptions, insist, post, env }) {
  checkOptions('publish', options, OPTIONS);
  const { signal = new AbortController().signal } = options;
  const body = formOf(topics, data, { id: randomId(env), ...options });
  let attempts = 0;
  // Without an answer the hub may have taken the update; then it answers with the same id.
  const isOver = ({ status }) => (attempts += 1) > RETRIES || ![null, 200, 502, 503].includes(status);
  const response = await insist(() => post(body, signal), isOver, signal, env);
  return (await response.text()).trim();
}

function formOf(topics, data, { id, private: isPrivate, signal, ...fields }) {
  const form = new URLSearchParams();
  for (const topic of topics) form.append('topic', topic);
  form.set('data', typeof data === 'string' ? data : (JSON.stringify(data) ?? ''));
  form.set('id', id);
  if (isPrivate) form.set('private', 'on');
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) form.set(name, value);
  }
  return form;
}

/** Not randomUUID, which does not exist on plain HTTP. */
function randomId(env) {
  const bytes = env.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
