// Small comforts for the console. Every page works without this file.
// Load it in <head> without defer, so that a chosen theme is set before the first paint.
// Listeners sit on the document: content that htmx swaps in needs no set-up.
(function () {
  "use strict";
  var root = document.documentElement;
  root.classList.add("js"); // reveals .js-only controls

  function stored() {
    try { return localStorage.getItem("tenure-theme"); } catch (e) { return null; }
  }
  function setTheme(theme) {
    root.setAttribute("data-theme", theme);
    try { localStorage.setItem("tenure-theme", theme); } catch (e) { /* private mode */ }
  }
  var theme = stored();
  if (theme === "light" || theme === "dark") root.setAttribute("data-theme", theme);

  function toggleTheme() {
    var dark = root.hasAttribute("data-theme")
      ? root.getAttribute("data-theme") === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    setTheme(dark ? "light" : "dark");
  }

  function copy(button) {
    if (!navigator.clipboard) return;
    navigator.clipboard.writeText(button.getAttribute("data-copy")).then(function () {
      var label = button.getAttribute("aria-label");
      button.classList.add("copied");
      button.setAttribute("aria-label", "Copied");
      setTimeout(function () {
        button.classList.remove("copied");
        if (label) button.setAttribute("aria-label", label);
      }, 1600);
    }, function () { /* refused by the browser: the text can still be selected */ });
  }

  document.addEventListener("click", function (event) {
    var target = event.target;
    if (target.closest("[data-theme-toggle]")) toggleTheme();
    var button = target.closest("[data-copy]");
    if (button) copy(button);
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      if (!menu.contains(target)) menu.removeAttribute("open");
    });
  });

  document.addEventListener("keydown", function (event) {
    if (event.key !== "Escape") return;
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      menu.removeAttribute("open");
      menu.querySelector("summary").focus();
    });
  });
})();
