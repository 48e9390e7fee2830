/** How plots look by the settings of the person; changes show at once. */
import { setting } from "../api/boot";
import { SCHEMES } from "./schemes";

/** What the server sends where nobody has chosen; the theme's own palette is shown then. */
export const UNCHOSEN = SCHEMES.find((scheme) => scheme.name === "Default")?.colours.map((colour) => colour.toLowerCase()) ?? [];

class Look {
  lineWidth = $state(setting("plotConfiguration_lineWidth", 3));
  colouredBackground = $state(setting("plotConfiguration_colorBackground", true));
  colourblind = $state(setting("plotConfiguration_colorblindMode", false));
  scheme = $state.raw<string[]>(setting<string[]>("plotConfiguration_colorScheme", UNCHOSEN));
  /** Whether the scheme was chosen, by the person or the site, instead of being the usual default. */
  ownColours = $derived(Array.isArray(this.scheme) && this.scheme.length > 0 && this.scheme.join() !== UNCHOSEN.join());

  /** Width on the screen: the setting counts in the thick lines of older interfaces. */
  get stroke(): number {
    return Math.max(0.5, Math.min(this.lineWidth, 20) / 2);
  }
}

export const plots = new Look();
