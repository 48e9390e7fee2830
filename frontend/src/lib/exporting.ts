/** Files made of what is on the screen: CSV, JSON and PNG. */

export interface Column {
  name: string;
  unit?: string;
}

export type Cell = string | number | null | undefined;

/** Numbers in their base unit as the server sent them, never the rounded text. */
export interface Table {
  columns: Column[];
  rows: Cell[][];
}

const heading = (column: Column): string => (column.unit ? `${column.name} [${column.unit}]` : column.name);

function quote(cell: Cell): string {
  if (cell === null || cell === undefined) return "";
  if (typeof cell === "number") return String(cell);
  // A spreadsheet would run a text that starts like this as a formula.
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\n\r;]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export const toCsv = (table: Table): string =>
  [table.columns.map(heading), ...table.rows].map((row) => row.map(quote).join(",")).join("\r\n") + "\r\n";

export const toJson = (table: Table): string =>
  JSON.stringify(
    { columns: table.columns, rows: table.rows.map((row) => row.map((cell) => cell ?? null)) },
    null,
    1,
  );

export function save(content: string | Blob, file: string, type = "text/plain"): void {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = file.replaceAll(/[^\w.-]+/g, "-");
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const COPIED = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-family", "font-weight", "text-anchor", "fill-opacity", "stroke-opacity", "dominant-baseline"];

/** An SVG with the look the page's style sheet gives it, as a picture for canvases. */
async function draw(svg: SVGSVGElement, width: number, height: number): Promise<HTMLImageElement> {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const [from, to] = [svg.querySelectorAll("*"), copy.querySelectorAll("*")];
  from.forEach((element, index) => {
    const style = getComputedStyle(element);
    for (const name of COPIED) (to[index] as SVGElement).style.setProperty(name, style.getPropertyValue(name));
  });
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  return image;
}

/** What `box` shows as PNG: its canvases and drawings on the panel's colour, under a line with the title. */
export async function picture(box: HTMLElement, title: string): Promise<Blob> {
  const TITLE = 28;
  const scale = devicePixelRatio || 1;
  const frame = box.getBoundingClientRect();
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(frame.width * scale));
  canvas.height = Math.max(1, Math.round((frame.height + TITLE) * scale));
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser cannot draw pictures");
  const style = getComputedStyle(document.documentElement);
  context.scale(scale, scale);
  context.fillStyle = style.getPropertyValue("--mon-panel");
  context.fillRect(0, 0, frame.width, frame.height + TITLE);
  context.fillStyle = style.getPropertyValue("--mon-text");
  context.font = "600 14px system-ui, sans-serif";
  context.fillText(title, 8, 18, frame.width - 16);
  for (const part of box.querySelectorAll("canvas, svg[data-plot]")) {
    const at = part.getBoundingClientRect();
    const image = part instanceof HTMLCanvasElement ? part : await draw(part as SVGSVGElement, at.width, at.height);
    context.drawImage(image, at.left - frame.left, at.top - frame.top + TITLE, at.width, at.height);
  }
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the picture could not be made"))), "image/png"),
  );
}
