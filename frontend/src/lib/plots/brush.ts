/** Draws a box over a plot with the pointer. */

/** In parts of the width and the height, from the upper left corner. */
export interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const STEPS = 4; // pixels: less is a click with an unsteady hand

/**
 * Attaches to a plot: `onmove` follows the box (undefined: there is none), `ondone` gets the one that was drawn.
 * What is measured is the child marked `data-area`, or the element itself. A press that draws nothing stays a click.
 */
export function brush(onmove: (box: Box | undefined) => void, ondone: (box: Box) => void) {
  return (node: Element): (() => void) => {
    let start: { x: number; y: number } | undefined;
    let drawn: Box | undefined;
    const part = (value: number, from: number, size: number): number => Math.min(Math.max((value - from) / (size || 1), 0), 1);
    const down = (event: Event): void => {
      const { button, clientX: x, clientY: y } = event as PointerEvent;
      drawn = undefined;
      start = button === 0 ? { x, y } : undefined;
    };
    const move = (event: Event): void => {
      if (!start) return;
      const { clientX, clientY, pointerId } = event as PointerEvent;
      if (!drawn && Math.hypot(clientX - start.x, clientY - start.y) < STEPS) return;
      if (!drawn) node.setPointerCapture(pointerId);
      const area = (node.querySelector("[data-area]") ?? node).getBoundingClientRect();
      const [x, y] = [[start.x, clientX].sort((a, b) => a - b), [start.y, clientY].sort((a, b) => a - b)];
      drawn = {
        left: part(x[0] ?? 0, area.left, area.width),
        right: part(x[1] ?? 0, area.left, area.width),
        top: part(y[0] ?? 0, area.top, area.height),
        bottom: part(y[1] ?? 0, area.top, area.height),
      };
      onmove(drawn);
    };
    const up = (): void => {
      start = undefined;
      onmove(undefined);
      if (drawn) ondone(drawn);
    };
    const cancel = (): void => {
      start = drawn = undefined;
      onmove(undefined);
    };
    const click = (event: Event): void => {
      if (!drawn) return;
      drawn = undefined; // the end of a box is no click on what lies below
      event.preventDefault();
      event.stopPropagation();
    };
    const still = (event: Event): void => event.preventDefault(); // links would be dragged themselves
    const handlers: [string, (event: Event) => void][] = [
      ["pointerdown", down],
      ["pointermove", move],
      ["pointerup", up],
      ["pointercancel", cancel],
      ["dragstart", still],
    ];
    for (const [name, handler] of handlers) node.addEventListener(name, handler);
    node.addEventListener("click", click, true);
    return () => {
      for (const [name, handler] of handlers) node.removeEventListener(name, handler);
      node.removeEventListener("click", click, true);
    };
  };
}
