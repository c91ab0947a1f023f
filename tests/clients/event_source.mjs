/** Follows a stream by any EventSource; it must be told the types, since each has a listener. */
export function follow(EventSource, url, types, tell) {
  const source = new EventSource(url);
  // An update of the type "open" or "error" is an event too, with data.
  source.addEventListener('open', (event) => {
    if (event.data === undefined) tell({ open: true });
  });
  source.addEventListener('error', (event) => {
    const isClosed = source.readyState === EventSource.CLOSED;
    if (event.data === undefined && isClosed) tell({ closed: true });
  });
  for (const type of types) {
    source.addEventListener(type, ({ data, lastEventId }) => {
      if (data !== undefined) tell({ type, data, id: lastEventId });
    });
  }
  return source;
}
