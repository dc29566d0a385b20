// Adds a "Copy" button to every snippet. Without this file the snippets can still be selected by mouse and keyboard.
"use strict";

if (navigator.clipboard) {
  for (const snippet of document.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy: ${snippet.getAttribute("aria-label")}`);

    const said = document.createElement("span");
    said.className = "visually-hidden";
    said.setAttribute("role", "status");

    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(snippet.textContent);
        button.textContent = said.textContent = "Copied";
      } catch {
        button.textContent = said.textContent = "Select the text and copy it by hand";
      }
      setTimeout(() => {
        button.textContent = "Copy";
        said.textContent = "";
      }, 3000);
    });
    snippet.after(button, said);
  }
}
