// arrival.ts — the window gets the focus by keys or by a command, and nothing in it has it: from there Shift+Tab would leave it at once.
//
// In: the window. Out: a call, so that somebody takes the focus. Not after a press of the pointer, which puts the focus where it
// wants to, and not while text is selected.

/** A press that brings the focus comes just before or just after it. */
const pressWithin = 250;

export function onArrival(page: Window, land: () => void): void {
  let pressedAt = Number.NEGATIVE_INFINITY;
  page.addEventListener(
    "pointerdown",
    () => {
      pressedAt = performance.now();
    },
    { capture: true },
  );
  page.addEventListener("focus", () => {
    setTimeout(() => {
      const { activeElement, body } = page.document;
      const isFree = activeElement === null || activeElement === body;
      const pressed = performance.now() - pressedAt < pressWithin;
      if (isFree && !pressed && page.document.getSelection()?.isCollapsed !== false) land();
    }, settleMs);
  });
}

/** Time for the press, or for whoever else takes the focus. */
const settleMs = 60;
