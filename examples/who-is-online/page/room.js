import { connect } from '/.well-known/mercure/barestream.js';

const ROOM = '/rooms/lobby';

const element = (id) => document.getElementById(id);

async function post(path, body) {
  const answer = await fetch(path, { method: 'POST', body });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

function rowOf({ payload }) {
  return Object.assign(document.createElement('li'), { textContent: payload.name });
}

function show(part) {
  for (const each of ['login', 'room']) element(each).hidden = each !== part;
}

async function enter() {
  const { user } = await post('session');
  show(user ? 'room' : 'login');
  if (!user) return;
  const renew = async () => (await post('session')).ends;
  const hub = connect('/.well-known/mercure', { renew, identity: user });
  hub.addEventListener('statechange', ({ detail }) => {
    element('state').textContent = element('state').dataset.state = detail.state;
    element('state').title = detail.reason ?? '';
  });

  const say = ({ payload: { name } }, what) => {
    if (name !== user) element('log').prepend(`${name} has ${what}.\n`);
  };

  // Whoever subscribes to the room is there,
  hub.subscribe(ROOM);
  // and sees who is: Echo's here(), joining() and leaving().
  hub.presence(ROOM, {
    onChange: (members) => element('here').replaceChildren(...[...members.values()].map(rowOf)),
    onJoined: (member) => say(member, 'joined'),
    onLeft: (member) => say(member, 'left'),
  });

  element('logout').onclick = async () => {
    // As long as the cookie says whose it is. The others see it at once.
    await hub.leave();
    await post('logout');
    hub.identify();
  };
  // In all tabs of the user, whichever has logged out.
  hub.addEventListener('userchange', () => {
    hub.close();
    element('log').replaceChildren();
    show('login');
  });
}

element('login').onsubmit = async (event) => {
  event.preventDefault();
  await post('login', new FormData(event.target));
  await enter();
};

await enter();
