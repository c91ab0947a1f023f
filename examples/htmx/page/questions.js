import { connect } from '/.well-known/mercure/barestream.js';

/** Hands the server's HTML to htmx, which also takes care of the attributes in it. */
const swap = (html) => htmx.swap('#questions', html, { swapStyle: 'innerHTML' });

const hub = connect();

hub.subscribe('/questions', {
  async getState(gap, signal) {
    // The cursor comes first: what changes while the list is rendered comes after it.
    const cursor = await hub.cursor();
    const answer = await fetch('questions', { signal });
    if (!answer.ok) throw new Error(`The app answered ${answer.status}.`);
    return { cursor, state: await answer.text() };
  },
  onState: swap,
  onEvent: ({ data }) => swap(data),
});

const state = document.getElementById('state');
hub.addEventListener('statechange', () => {
  state.textContent = state.dataset.state = hub.state;
});
