// The script of a page: notes by how many milliseconds each tick of the service comes late.

globalThis.lateMs = [];
new EventSource('/events').onmessage = ({ lastEventId }) => {
  lateMs.push(Date.now() - Number(lastEventId.slice(1).split('-')[0]));
};
