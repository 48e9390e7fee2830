import { boot } from "./api/boot";

export type ThemeChoice = "auto" | "light" | "dark";
export type MotionChoice = "auto" | "reduced";

const system = matchMedia("(prefers-color-scheme: dark)");

const known = (value: unknown): ThemeChoice => (value === "light" || value === "dark" ? value : "auto");

/** What this browser remembers, or what the person chose in another one. */
function stored(): ThemeChoice {
  const own = known(boot.config["ui_theme"]);
  try {
    return known(localStorage.getItem("theme") ?? own);
  } catch {
    return own; // storage blocked
  }
}

class Theme {
  choice = $state<ThemeChoice>(stored());
  motion = $state<MotionChoice>(boot.config["ui_motion"] === "reduced" ? "reduced" : "auto");
  #systemDark = $state(system.matches);

  constructor() {
    this.show(this.choice);
    this.move(this.motion);
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

  /** Whether things may move by themselves; the style sheet knows what the system wants. */
  move(choice: MotionChoice): void {
    this.motion = choice;
    document.documentElement.dataset.motion = choice;
  }

  choose(choice: ThemeChoice): void {
    this.show(choice);
    try {
      localStorage.setItem("theme", choice);
    } catch {
      // storage blocked: the choice lasts for this page
    }
  }
}

export const theme = new Theme();
