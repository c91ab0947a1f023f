// The theme puts each table into a box that scrolls sideways, and gives the keyboard no way into it.
const letKeyboardIn = () => {
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])")) {
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "Table");
  }
};

new MutationObserver(letKeyboardIn).observe(document.body, { childList: true, subtree: true });
letKeyboardIn();
