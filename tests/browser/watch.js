// Runs before the page's own scripts, and writes down every text of each element with an id.

const texts = {};
const complaints = [];

globalThis.shown = () => ({ texts, complaints });

new MutationObserver((records) => {
  for (const { target, addedNodes } of records) {
    if (!target.id) continue;
    const text = Array.from(addedNodes, (node) => node.textContent).join('');
    (texts[target.id] ??= []).push(text);
  }
}).observe(document, { childList: true, subtree: true });

addEventListener('error', ({ message }) => complaints.push(message));
addEventListener('unhandledrejection', ({ reason }) => complaints.push(String(reason)));
document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
  complaints.push(`CSP: ${violatedDirective} forbids ${blockedURI}`),
);
