import { query } from "./client";
import { graphql, type ResultOf } from "./graphql";

const HintsQuery = graphql(`
  query Hints($ids: [ID!], $page: PageRequest) {
    jobs(filter: [{ dbId: $ids }], page: $page) {
      items {
        id
        hints {
          id
          severity
          title
          detail
          suggestion
        }
      }
    }
  }
`);

/** What stands out in a job, the gravest first; null where nothing can be said. */
export type Hints = ResultOf<typeof HintsQuery>["jobs"]["items"][number]["hints"];

const SeveritiesQuery = graphql(`
  query Severities($ids: [ID!], $page: PageRequest) {
    jobs(filter: [{ dbId: $ids }], page: $page) {
      items {
        id
        hints {
          severity
        }
      }
    }
  }
`);

/** The gravest hint of a job; "none" where nothing stands out, null where nothing can be said. */
export type Severity = "critical" | "warning" | "info" | "none" | null;

const MOST_JUDGED = 100; // jobs of one request that the server judges

/** What stands out in many jobs, by their ids; `onpart` hears how many are done. */
export async function severities(ids: string[], onpart: (done: number) => void, signal: AbortSignal): Promise<Map<string, Severity>> {
  const found = new Map<string, Severity>(ids.map((id) => [id, null]));
  for (let from = 0; from < ids.length; from += MOST_JUDGED) {
    onpart(from);
    const part = ids.slice(from, from + MOST_JUDGED);
    const { jobs } = await query(SeveritiesQuery, { ids: part, page: { page: 1, itemsPerPage: part.length } }, { signal, fresh: true });
    for (const job of jobs.items) found.set(String(job.id), job.hints && ((job.hints[0]?.severity ?? "none") as Severity));
  }
  return found;
}

const MOST = 25; // jobs per request: reading their curves takes time, and the first rows should not wait for all
const GATHER = 20; // ms

interface Asked {
  id: number;
  resolve: (hints: Hints) => void;
  reject: (cause: unknown) => void;
}
let gathered: Asked[] = [];

/** The hints of a job. Rows that ask at the same moment share a request. */
export function jobHints(id: number, signal: AbortSignal): Promise<Hints> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
    gathered.push({ id, resolve, reject });
    if (gathered.length === 1) setTimeout(flush, GATHER);
  });
}

function flush(): void {
  const all = gathered;
  gathered = [];
  for (let from = 0; from < all.length; from += MOST) void ask(all.slice(from, from + MOST));
}

async function ask(part: Asked[]): Promise<void> {
  try {
    const ids = part.map((one) => String(one.id));
    const { jobs } = await query(HintsQuery, { ids, page: { page: 1, itemsPerPage: ids.length } }, { fresh: true });
    const found = new Map(jobs.items.map((job) => [Number(job.id), job.hints]));
    for (const one of part) one.resolve(found.get(one.id) ?? null);
  } catch (cause) {
    for (const one of part) one.reject(cause);
  }
}
