/** Host names of a node list such as `n[01-04,07],login1`; an open list (`*`) names nobody. */
const MOST = 20_000;

export function expandHosts(text: string): string[] {
  const hosts: string[] = [];
  // Commas between brackets separate ranges, those outside separate terms.
  for (const term of text.match(/(?:[^,[\]]|\[[^\]]*\])+/g) ?? []) {
    let names = [""];
    for (const piece of term.match(/\[[^\]]*\]|[^[\]]+/g) ?? []) {
      if (!piece.startsWith("[")) {
        names = names.map((name) => name + piece);
        continue;
      }
      const numbers = piece
        .slice(1, -1)
        .split(",")
        .flatMap((range) => {
          const [from = "", to = from] = range.split("-");
          const [low, high] = [Number(from), Number(to)];
          if (!Number.isInteger(low) || !Number.isInteger(high) || high - low > MOST) return [];
          return Array.from({ length: Math.max(high - low + 1, 0) }, (_, index) => String(low + index).padStart(from.length, "0"));
        });
      names = names.flatMap((name) => numbers.map((number) => name + number)).slice(0, MOST);
    }
    for (const name of names) if (name.trim() && name !== "*") hosts.push(name.trim());
  }
  return hosts.slice(0, MOST);
}
