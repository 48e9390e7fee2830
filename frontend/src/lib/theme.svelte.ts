export type ThemeChoice = "auto" | "light" | "dark";

const system = matchMedia("(prefers-color-scheme: dark)");

function stored(): ThemeChoice {
  try {
    const value = localStorage.getItem("theme");
    return value === "light" || value === "dark" ? value : "auto";
  } catch {
    return "auto"; // storage blocked
  }
}

class Theme {
  choice = $state<ThemeChoice>(stored());
  #systemDark = $state(system.matches);

  constructor() {
    system.addEventListener("change", (event) => (this.#systemDark = event.matches));
  }

  /** What is shown now; canvases redraw when this changes. */
  get shown(): "light" | "dark" {
    return this.choice === "auto" ? (this.#systemDark ? "dark" : "light") : this.choice;
  }

  /** For this page only. */
  show(choice: ThemeChoice): void {
    this.choice = choice;
    if (choice === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = choice;
  }

  choose(choice: ThemeChoice): void {
    this.show(choice);
    try {
      if (choice === "auto") localStorage.removeItem("theme");
      else localStorage.setItem("theme", choice);
    } catch {
      // storage blocked: the choice lasts for this page
    }
  }
}

export const theme = new Theme();
