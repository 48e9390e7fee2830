/** What a search might mean, asked for while it is typed. */
import { atLeast, boot, LEVEL, seesStatus } from "./boot";

export interface Suggestion {
  kind: "job" | "user" | "project" | "tag" | "node" | "view";
  label: string;
  sub: string;
  href: string;
}

export async function suggest(text: string, signal: AbortSignal): Promise<Suggestion[]> {
  const response = await fetch(`/frontend/suggest?${new URLSearchParams({ q: text, limit: "20" }).toString()}`, { signal });
  return response.ok ? ((await response.json()) as Suggestion[]) : [];
}

/** Pages of this site whose name fits. */
export function views(text: string): Suggestion[] {
  const pages: [label: string, href: string, level: boolean][] = [
    ["My jobs", `/monitoring/user/${encodeURIComponent(boot.user.username)}`, true],
    ["Jobs", "/monitoring/jobs/", true],
    ["Running jobs", "/monitoring/jobs/?state=running", true],
    ["Tags", "/monitoring/tags/", true],
    ["Users", "/monitoring/users/?startTime=last30d", atLeast(LEVEL.manager)],
    ["Projects", "/monitoring/projects/?startTime=last30d", atLeast(LEVEL.manager)],
    ...boot.clusters.flatMap(({ name }): [string, string, boolean][] => {
      const cluster = encodeURIComponent(name);
      return [
        [`Nodes of ${name}`, `/monitoring/systems/${cluster}`, atLeast(LEVEL.support)],
        [`Node list of ${name}`, `/monitoring/systems/list/${cluster}`, atLeast(LEVEL.support)],
        [`Analysis of ${name}`, `/monitoring/analysis/${cluster}`, atLeast(LEVEL.support)],
        [`Status of ${name}`, `/monitoring/status/${cluster}`, seesStatus()],
      ];
    }),
    ["Settings", "/config", true],
    ["Logs", "/monitoring/logs", atLeast(LEVEL.admin)],
  ];
  const wanted = text.toLowerCase();
  return pages.filter(([label, , allowed]) => allowed && label.toLowerCase().includes(wanted)).slice(0, 4).map(([label, href]) => ({ kind: "view", label, sub: "page", href }));
}
