import { connect } from '/.well-known/mercure/barestream.js';

const element = (id) => document.getElementById(id);
const notify = (text) => element('notices').prepend(`${text}\n`);

async function request(method, path, body) {
  const answer = await fetch(path, { method, body });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

function show([id, item, state]) {
  const button = element(id) ?? document.createElement('button');
  Object.assign(button, { id, textContent: item, formAction: `orders/${id}`, disabled: state === 'sent' });
  element(state).append(button);
}

// The cookie has to be there first; later the client has it renewed in time.
await request('POST', 'session').catch(notify);
const hub = connect('/.well-known/mercure', { renew: () => request('POST', 'session') });
hub.addEventListener('statechange', () => element('state').replaceChildren(hub.state));

// Of these the hub sends those that the cookie's token covers.
hub.subscribe('/notices/{user}', { onEvent: ({ data }) => notify(data) });

hub.subscribe('/orders/{id}', {
  // The cursor comes first: what changes while the orders are read comes after it.
  getState: async () => ({ cursor: await hub.cursor(), state: await request('GET', 'orders') }),
  onState: (orders) => orders.forEach(show),
  onEvent: (event) => show(event.json()),
});

// The words of each summary, and a line break at its end.
hub.subscribe('/.well-known/mercure/runs/summary/{id}', {
  from: 'earliest',
  onEvent: ({ type, data }) => element('summary').append(type === 'message' ? data : '\n'),
});

// Each button names what it posts to.
document.onsubmit = (event) => {
  event.preventDefault();
  request('POST', event.submitter.formAction, new FormData(event.target)).catch(notify);
  event.target.reset();
};
