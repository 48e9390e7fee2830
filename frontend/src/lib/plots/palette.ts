/** Reads the theme for canvases, which cannot use CSS variables themselves. */
import { plots } from "./look.svelte";

export const SERIES_COLOURS = 8;

export const themeColour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(`--mon-${name}`).trim();

/** The colours a person chose for series; empty for those of the theme. */
function chosen(): string[] {
  const colours = plots.scheme;
  // The list older interfaces start with is no choice: the theme's palette reads better on its panels.
  return plots.ownColours && colours.every((item) => /^(#[0-9a-fA-F]{3,8}|rgba?\([\d., %]+\))$/.test(String(item))) ? colours : [];
}

export const seriesVariable = (index: number): string => {
  const own = chosen();
  return own.length ? (own[index % own.length] ?? "") : `var(--mon-series-${(index % SERIES_COLOURS) + 1})`;
};

export const seriesColour = (index: number): string => {
  const own = chosen();
  return own.length ? (own[index % own.length] ?? "") : themeColour(`series-${(index % SERIES_COLOURS) + 1}`);
};

// Viridis at nine stops (matplotlib, CC0): even steps for every kind of colour vision, dark to bright.
const VIRIDIS: readonly (readonly [number, number, number])[] = [
  [68, 1, 84],
  [71, 45, 123],
  [59, 82, 139],
  [44, 114, 142],
  [33, 145, 140],
  [40, 174, 128],
  [94, 201, 98],
  [173, 220, 48],
  [253, 231, 37],
];

function stop(index: number): readonly [number, number, number] {
  return VIRIDIS[Math.min(Math.max(index, 0), VIRIDIS.length - 1)] ?? [0, 0, 0];
}

/** Colour of a fraction between 0 and 1 of a scale; outside values take the end colours. */
export function heatColour(fraction: number): string {
  const place = Math.min(Math.max(fraction, 0), 1) * (VIRIDIS.length - 1);
  const [low, high, part] = [stop(Math.floor(place)), stop(Math.floor(place) + 1), place % 1];
  const mixed = low.map((value, channel) => Math.round(value + ((high[channel] ?? 0) - value) * part));
  return `rgb(${mixed.join(",")})`;
}

export const heatGradient = `linear-gradient(to right, ${VIRIDIS.map(([r, g, b]) => `rgb(${r},${g},${b})`).join(", ")})`;

/** Black or white, whichever can be read on the heat colour. */
export function heatText(fraction: number): string {
  const [red = 0, green = 0, blue = 0] = (heatColour(fraction).match(/\d+/g) ?? []).map((text) => {
    const value = Number(text) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  // WCAG 2.2, relative luminance: here black and white have the same contrast.
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
}

/** Palettes of shares: first part of the names of their theme colours, and how many there are. */
const SHARES = { ramp: ["share-", 11], alternative: ["share-alt-", 12], safe: ["share-safe-", 13] } as const;
export type SharePalette = keyof typeof SHARES;

/** Colours that follow the keys; names of theme colours. Those of `before` stay, whoever comes or goes. */
export function keyColours(keys: string[], palette: SharePalette, before: Map<string, string>): Map<string, string> {
  const [prefix, colours] = SHARES[palette];
  const places = Array.from({ length: colours }, (_, index) => `${prefix}${index + 1}`);
  const found = new Map([...before].filter(([key, colour]) => keys.includes(key) && places.includes(colour)));
  const taken = new Set(found.values());
  for (const key of keys.filter((key) => !found.has(key)).sort()) {
    let hash = 0;
    for (let index = 0; index < key.length; index += 1) hash = (hash * 31 + key.charCodeAt(index)) >>> 0;
    let place = hash % colours;
    // Two keys of one plot get two colours while there are enough.
    for (let tries = 0; taken.has(places[place] ?? "") && tries < colours; tries += 1) place = (place + 1) % colours;
    taken.add(places[place] ?? "");
    found.set(key, places[place] ?? "");
  }
  return found;
}

const STATE_COLOURS: Record<string, string> = {
  allocated: "state-allocated",
  full: "state-allocated",
  mixed: "state-mixed",
  partial: "state-mixed",
  reserved: "state-reserved",
  idle: "state-idle",
  down: "state-down",
  failed: "state-down",
};

/** Theme colour of a node or health state. */
export const stateColour = (state: string): string => STATE_COLOURS[state] ?? "state-unknown";
