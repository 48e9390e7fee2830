// The page behind /playground (development only): GraphiQL talking to this server's /query, nothing else.
import { GraphiQL } from "graphiql";
import { createElement } from "react";
import { createRoot } from "react-dom/client";
import "graphiql/graphiql.css";
import "./playground.css";

const HELLO = `# The session of this browser, or a token as header:
#   { "Authorization": "Bearer eyJ..." }
{
  clusters { name subClusters { name numberOfNodes } }
  jobs(page: { itemsPerPage: 5, page: 1 }) { count items { id jobId user state } }
}
`;

interface Answer {
  data?: unknown;
  errors?: unknown[];
}

async function ask(body: unknown, options?: { headers?: Record<string, string> }): Promise<Answer> {
  const answer = await fetch("/query", {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json", ...options?.headers },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  try {
    return JSON.parse(text) as Answer;
  } catch {
    const hint = answer.status === 401 ? "log in at /login, or add a header Authorization" : text.slice(0, 200);
    return { data: null, errors: [{ message: `status ${answer.status}: ${hint}` }] };
  }
}

const place = document.getElementById("playground");
if (place) {
  createRoot(place).render(
    createElement(GraphiQL, {
      fetcher: (body, options) => ask(body, options),
      defaultQuery: HELLO,
      shouldPersistHeaders: false,
    } as Parameters<typeof GraphiQL>[0]),
  );
}
