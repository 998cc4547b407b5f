// controls.js — the development page: which theme, recording, speed and width the panel in the frame is shown with.
const form = document.querySelector("form");
const frame = document.querySelector("iframe");

const fill = (name, values) => {
  for (const value of values) form.elements[name].append(new Option(value, value));
};

const show = () => {
  const { theme, recording, speed, width } = Object.fromEntries(new FormData(form));
  frame.style.width = `${width}px`;
  frame.src = `/panel?${new URLSearchParams({ theme, recording, speed })}`;
};

fetch("/choices")
  .then((reply) => reply.json())
  .then(({ themes, recordings }) => {
    fill("theme", themes);
    fill("recording", recordings);
    form.addEventListener("change", show);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      show();
    });
    show();
  });
