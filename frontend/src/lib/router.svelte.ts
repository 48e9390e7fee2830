/** Client-side navigation over the server's own URLs: every state of a view is in the address. */

class Location {
  path = $state(location.pathname);
  search = $state(location.search);

  constructor() {
    addEventListener("popstate", () => this.#read());
    document.addEventListener("click", (event) => this.#follow(event));
  }

  get params(): URLSearchParams {
    return new URLSearchParams(this.search);
  }

  /** Goes to a URL of this site; `replace` keeps Back pointing to where the person came from. */
  go(url: string, options: { replace?: boolean } = {}): void {
    if (url === location.pathname + location.search) return;
    const samePage = new URL(url, location.href).pathname === location.pathname;
    if (options.replace) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
    this.#read();
    if (!samePage) scrollTo(0, 0);
  }

  /** Changes keys of the query string; undefined, "" and [] remove a key. */
  set(changes: Record<string, string | string[] | undefined>, options: { replace?: boolean } = {}): void {
    const params = this.params;
    for (const [key, value] of Object.entries(changes)) {
      params.delete(key);
      for (const item of value === undefined ? [] : Array.isArray(value) ? value : [value]) {
        if (item !== "") params.append(key, item);
      }
    }
    const text = params.toString();
    this.go(this.path + (text ? `?${text}` : ""), options);
  }

  #read(): void {
    this.path = location.pathname;
    this.search = location.search;
  }

  #follow(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const link = (event.target as Element | null)?.closest("a");
    if (!link || link.target || link.origin !== location.origin || link.hasAttribute("download")) return;
    if (!match(link.pathname)) return; // pages of the server: log in, downloads
    if (link.hash && link.pathname === location.pathname) return;
    event.preventDefault();
    this.go(link.pathname + link.search);
  }
}

export type Route =
  | { name: "home" }
  | { name: "jobs" }
  | { name: "job"; id: number }
  | { name: "compare" }
  | { name: "users" }
  | { name: "user"; username: string }
  | { name: "projects" }
  | { name: "tags" }
  | { name: "systems"; cluster: string }
  | { name: "systemsList"; cluster: string; subCluster: string }
  | { name: "node"; cluster: string; host: string }
  | { name: "analysis"; cluster: string }
  | { name: "status"; cluster: string }
  | { name: "statusDetail"; cluster: string }
  | { name: "dashboard"; cluster: string }
  | { name: "settings" }
  | { name: "logs" };

const PATTERNS: [RegExp, (parts: string[]) => Route][] = [
  [/^\/$/, () => ({ name: "home" })],
  [/^\/config\/?$/, () => ({ name: "settings" })],
  [/^\/monitoring\/jobs\/?$/, () => ({ name: "jobs" })],
  [/^\/monitoring\/job\/(\d+)\/?$/, ([id]) => ({ name: "job", id: Number(id) })],
  [/^\/monitoring\/compare\/?$/, () => ({ name: "compare" })],
  [/^\/monitoring\/users\/?$/, () => ({ name: "users" })],
  [/^\/monitoring\/user\/([^/]+)\/?$/, ([username = ""]) => ({ name: "user", username })],
  [/^\/monitoring\/projects\/?$/, () => ({ name: "projects" })],
  [/^\/monitoring\/tags\/?$/, () => ({ name: "tags" })],
  [/^\/monitoring\/systems\/list\/([^/]+)(?:\/([^/]+))?\/?$/, ([cluster = "", subCluster = ""]) => ({ name: "systemsList", cluster, subCluster })],
  [/^\/monitoring\/systems\/([^/]+)\/?$/, ([cluster = ""]) => ({ name: "systems", cluster })],
  [/^\/monitoring\/node\/([^/]+)\/([^/]+)\/?$/, ([cluster = "", host = ""]) => ({ name: "node", cluster, host })],
  [/^\/monitoring\/analysis\/([^/]+)\/?$/, ([cluster = ""]) => ({ name: "analysis", cluster })],
  [/^\/monitoring\/status\/detail\/([^/]+)\/?$/, ([cluster = ""]) => ({ name: "statusDetail", cluster })],
  [/^\/monitoring\/status\/([^/]+)\/?$/, ([cluster = ""]) => ({ name: "status", cluster })],
  [/^\/monitoring\/dashboard\/([^/]+)\/?$/, ([cluster = ""]) => ({ name: "dashboard", cluster })],
  [/^\/monitoring\/logs\/?$/, () => ({ name: "logs" })],
];

function decoded(text: string | undefined): string {
  try {
    return decodeURIComponent(text ?? "");
  } catch {
    return text ?? ""; // a stray percent sign
  }
}

/** The view behind a path; undefined for paths that are not part of this application. */
export function match(path: string): Route | undefined {
  for (const [pattern, make] of PATTERNS) {
    const found = pattern.exec(path);
    if (found) return make(found.slice(1).map(decoded));
  }
  return undefined;
}

export const place = new Location();
