// host.js — stands in for the extension host in a plain browser: plays a recorded session to the panel, keeps what the panel sends.
//
// In: window.quirePlay {recording, speed}. Out: messages to the panel; window.quireSent. Speed 0 plays everything at once.
{
  const { recording, speed } = window.quirePlay;
  const key = "quire-panel-state";
  window.quireSent = [];

  const play = () => {
    const began = performance.now();
    let next = 0;
    const step = () => {
      const now = performance.now() - began;
      while (next < recording.length && (speed === 0 || recording[next].at / speed <= now))
        window.postMessage(recording[next++].message, "*");
      if (next < recording.length) requestAnimationFrame(step);
    };
    step();
  };

  window.acquireVsCodeApi = () => ({
    postMessage(message) {
      window.quireSent.push(structuredClone(message));
      console.log("to the host:", JSON.stringify(message));
      if (message.type === "ready") play();
    },
    getState: () => JSON.parse(sessionStorage.getItem(key) ?? "null") ?? undefined,
    setState: (state) => sessionStorage.setItem(key, JSON.stringify(state)),
  });
}
