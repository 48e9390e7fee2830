/* Runs before the first paint: applies the theme a person chose; without a choice the system decides. */
(function () {
  try {
    var choice = localStorage.getItem("theme");
    if (choice === "light" || choice === "dark") document.documentElement.setAttribute("data-theme", choice);
  } catch (_) {
    /* storage blocked: the system setting applies */
  }
})();
