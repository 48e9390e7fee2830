/** Colour schemes for time series that people may choose. Gradients from public colour maps (matplotlib, CC0). */

export interface Scheme {
  name: string;
  /** Told apart by people with any kind of colour vision. */
  safe: boolean;
  colours: string[];
}

function gradient(stops: string[], steps: number): string[] {
  const parse = (text: string): number[] => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
  return Array.from({ length: steps }, (_, index) => {
    const at = (index / (steps - 1)) * (stops.length - 1);
    const [low, high] = [parse(stops[Math.floor(at)] ?? "#000000"), parse(stops[Math.min(Math.floor(at) + 1, stops.length - 1)] ?? "#000000")];
    return `#${low.map((value, channel) => Math.round(value + ((high[channel] ?? 0) - value) * (at % 1)).toString(16).padStart(2, "0")).join("")}`;
  });
}

export const SCHEMES: Scheme[] = [
  { name: "Site", safe: true, colours: [] }, // the theme's own palette, checked in light and dark
  { name: "Bright", safe: true, colours: ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"] },
  { name: "HighContrast", safe: true, colours: ["#004488", "#ddaa33", "#bb5566"] },
  { name: "Muted", safe: true, colours: ["#332288", "#88ccee", "#44aa99", "#117733", "#999933", "#ddcc77", "#cc6677", "#882255", "#aa4499"] },
  { name: "NormalSixColor", safe: true, colours: ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"] },
  { name: "NormalTwelveColor", safe: true, colours: ["#1f78b4", "#a6cee3", "#33a02c", "#b2df8a", "#e31a1c", "#fb9a99", "#ff7f00", "#fdbf6f", "#6a3d9a", "#cab2d6", "#b15928", "#d9c84a"] },
  // In capitals: the server sends the same list in small letters where nobody has chosen.
  { name: "Default", safe: false, colours: ["#00BFFF", "#0000FF", "#FF00FF", "#FF0000", "#FF8000", "#FFFF00", "#80FF00"] },
  { name: "Autumn", safe: false, colours: gradient(["#ff0000", "#ffff00"], 20) },
  { name: "Beach", safe: false, colours: gradient(["#00fcff", "#fed8b1", "#ff9e4a", "#64cdcc", "#ffe9a8"], 20) },
  { name: "BlueRed", safe: false, colours: gradient(["#0000b3", "#7f7fff", "#ff7f7f", "#a30000"], 20) },
  { name: "Rainbow", safe: false, colours: gradient(["#8000ff", "#1996f3", "#4df3ce", "#b2f396", "#ff964f", "#ff0000"], 24) },
  { name: "Binary", safe: false, colours: gradient(["#d7d7d7", "#000000"], 20) },
  { name: "GistEarth", safe: false, colours: gradient(["#1d2e77", "#2e7880", "#489c55", "#9db05a", "#c2a868", "#e8dcd0"], 24) },
  { name: "BlueWaves", safe: false, colours: gradient(["#83b5dc", "#003366", "#5e94c0", "#0a4a86"], 20) },
  { name: "BlueGreenRedYellow", safe: false, colours: gradient(["#000080", "#0060ff", "#00c060", "#ff0000", "#ffff00"], 24) },
];
