// The sample of the README: a chat whose messages the backend has.

import { createRoot } from 'react-dom/client';

import { Chat } from './sample.jsx';

const id = new URLSearchParams(location.search).get('chat');
const first = await (await fetch(`/api/chat/${id}`, { cache: 'no-store' })).json();
const root = createRoot(document.querySelector('#root'));
globalThis.unmount = () => root.unmount();
root.render(<Chat id={id} first={first} />);
