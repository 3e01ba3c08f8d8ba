// Keeps parts of a page current and copies commands. Everything can be read without it.
"use strict";
(() => {
  const redraw = async () => {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "error" });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(part.id);
      // Whoever is in the middle of something is not disturbed.
      if (!next || part.innerHTML === next.innerHTML || part.contains(document.activeElement)) continue;
      const open = [...part.querySelectorAll("details[open]")].map((d) => d.id);
      part.replaceChildren(...next.childNodes);
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    }
  };
  if (document.querySelector("[data-live]")) {
    let timer;
    const soon = () => { clearTimeout(timer); timer = setTimeout(() => redraw().catch(() => {}), 150); };
    const source = new EventSource("/live");
    source.addEventListener("changed", soon);
    // After a pause something may have been missed.
    source.addEventListener("open", soon);
    // What is counted goes on while nothing changes.
    if (document.querySelector("[data-counts]")) setInterval(soon, 5000);
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  });
})();
