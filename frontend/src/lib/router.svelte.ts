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
  | { name: "status"; cluster: string };

/** The view behind a path; undefined for paths that are not part of this application. */
export function match(path: string): Route | undefined {
  if (path === "/") return { name: "home" };
  if (/^\/monitoring\/jobs\/?$/.test(path)) return { name: "jobs" };
  const job = /^\/monitoring\/job\/(\d+)\/?$/.exec(path);
  if (job) return { name: "job", id: Number(job[1]) };
  const status = /^\/monitoring\/status\/([^/]+)\/?$/.exec(path);
  if (status?.[1]) return { name: "status", cluster: decodeURIComponent(status[1]) };
  return undefined;
}

export const place = new Location();
